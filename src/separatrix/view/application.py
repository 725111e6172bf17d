"""The view as an ASGI application: which address gives which page or data."""

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from separatrix.study.account import changed_settings, differences
from separatrix.study.errors import UsageError
from separatrix.study.files import StoreError
from separatrix.study.manifest import read_manifest
from separatrix.study.regime_map import count_runs
from separatrix.study.runs import Run
from separatrix.study.store import Store

from .catalogue import Catalogue, StoredMap
from .cell_states import STATES, CellStates, planned_places, stored_place
from .comparison import settings_differences, verdict_pairs
from .curve_data import CurveRequest, curves_of, variables_of
from .index_page import index_page, state_summary, verdict_summary
from .judging import Judging
from .library import Library
from .markup import page
from .other_pages import choose_two_page, compare_page, map_page
from .phase_data import map_of, phase_of
from .plotting_library import script_name, script_path
from .processes import Jobs
from .run_page import broken_page, findings_of, run_page
from .run_results import RunResults
from .security import Access, Guard
from .starting import Starting
from .study_figures import drawn

__all__ = ["View", "create_app"]

ROWS = 50
SHOWN = ("running", "interrupted", "failed")


def create_app(root: Path, access: Access, files: Sequence[str] = ()) -> Starlette:
    """Make the application.

    Args:
        root: the folder of all runs.
        access: who is let in.
        files: Python files that define a study each, beside those of this version.

    Returns:
        An ASGI application, with its `View` as `state.view`.
    """
    view = View(root, access, files)

    @contextlib.asynccontextmanager
    async def life(app: Starlette):
        view.library.load()
        yield
        view.judging.close()

    app = Starlette(routes=view.routes(), middleware=[Middleware(Guard, access=access)], lifespan=life)
    app.state.view = view
    return app


def _data(answer: Callable[["View", Request], Any]) -> Callable[["View", Request], Response]:
    """An address that gives JSON. What is wrong with a run is an answer, `{"error": why}`, and no failure of ours."""

    @functools.wraps(answer)
    def respond(view: "View", request: Request) -> Response:
        try:
            return JSONResponse(answer(view, request))
        except (UsageError, StoreError) as error:
            return JSONResponse({"error": str(error)})
        except Exception as error:  # damaged results raise many kinds of error
            line = next(iter(str(error).splitlines()), "")
            return JSONResponse({"error": f"the results cannot be read ({type(error).__name__}: {line})"})

    return respond


class View:
    """What the pages are made from.

    Attributes:
        access: who is let in.
        catalogue: runs and maps of the store.
        library: studies.
        results: of runs, opened lazily.
        judging: verdicts.
        states: of cells.
        jobs: runs that were started here.
    """

    def __init__(self, root: Path, access: Access, files: Sequence[str] = ()):
        self.access = access
        self.catalogue = Catalogue(root)
        self.library = Library(files)
        self.results = RunResults()
        self.judging = Judging(self.library, self.results)
        self.states = CellStates()
        self.jobs = Jobs(self.catalogue.root)
        self._places: dict[Path, tuple[str, dict[str, dict[str, Any]]]] = {}
        self._static = _static_files()
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """All addresses."""
        run = "/runs/{slug}/{name}"
        return [
            Route("/", self.index),
            Route("/compare", self.compare),
            Route(run, self.run),
            Route("/maps/{slug}/{name}", self.map),
            *Starting(self.access, self.library, self.jobs).routes(),
            Route("/login", lambda request: RedirectResponse("/", 303), methods=["GET", "POST"]),
            Route("/api/runs", self.all_states),
            Route(f"/api{run}/state", self.state),
            Route(f"/api{run}/cells", self.cells),
            Route(f"/api{run}/verdicts", self.verdicts),
            Route(f"/api{run}/variables", self.variables),
            Route(f"/api{run}/curves", self.curves),
            Route(f"/api{run}/phase", self.phase),
            Route(f"/api{run}/figures/{{number:int}}", self.figure),
            Route("/api/maps/{slug}/{name}", self.map_data),
            Route("/api/maps/{slug}/{name}/state", self.map_state),
            Route("/static/{name}", self.static),
        ]

    def index(self, request: Request) -> Response:
        """All runs."""
        try:
            runs, skipped = self.catalogue.runs()
            maps = self.catalogue.maps()
        except StoreError as error:
            return HTMLResponse(broken_page("Runs", str(error), self.access.csrf))
        rows = []
        for run in runs:
            store = Store(run.folder, run.slug, run.settings_hash)
            try:
                rows.append((run, _counts(store), self.judging.soon(run, store)))
            except StoreError as error:
                rows.append((run, {}, str(error)))
        root = str(self.catalogue.root)
        return HTMLResponse(index_page(root, rows, maps, skipped, self.library.studies(), self.access.csrf))

    def run(self, request: Request) -> Response:
        """One run, or why it cannot be shown."""
        slug, name = request.path_params["slug"], request.path_params["name"]
        job = self.jobs.of(slug, name)
        try:
            found = self.catalogue.find(slug, name)
            if found is None:
                if job is not None:
                    at = escape(f"{slug}/{name}")
                    body = f'<h1>Starting {escape(slug)}</h1><div data-pending="{at}"><div data-job-box></div></div>'
                    return HTMLResponse(page(f"Starting {slug}", body, self.access.csrf))
                broken = self.catalogue.broken(slug, name)
                if broken is not None:
                    return HTMLResponse(broken_page(f"{slug}/{name}", broken, self.access.csrf))
                reason = "The store has no run of this name."
                return HTMLResponse(broken_page("No such run", reason, self.access.csrf), 404)
            run, store = found
            maps = self.catalogue.maps(run.slug)
            ready, reference = self.library.ready, self.library.reference(run.slug)
            study = self.library.find(run.slug, 0.0)
            text = run_page(run, store.manifest, study, maps, self.access.csrf, reference, ready)
        except StoreError as error:
            return HTMLResponse(broken_page("This run cannot be read", str(error), self.access.csrf))
        return HTMLResponse(text)

    def compare(self, request: Request) -> Response:
        """Two runs side by side, or the form that asks for them."""
        names, csrf = request.query_params.getlist("run"), self.access.csrf
        try:
            runs = self.catalogue.runs()[0]
            if not names:
                return HTMLResponse(choose_two_page(runs, names, "", csrf))
            found = [self.catalogue.find(*name.partition("/")[::2]) for name in names]
            if len(names) != 2 or None in found or names[0] == names[1]:
                return HTMLResponse(choose_two_page(runs, names, "Choose two different runs.", csrf))
            first, second = (pair for pair in found if pair is not None)
            differences = settings_differences(*(read_manifest(run.folder)["settings"] for run, _ in (first, second)))
        except StoreError as error:
            return HTMLResponse(broken_page("Compare", str(error), csrf))
        judged = [self.judging.now(*pair)[0] for pair in (first, second)]
        remarks = [f"{letter}: {v}" for letter, v in zip("AB", judged, strict=True) if isinstance(v, str)]
        verdicts = [[] if isinstance(v, str) else v for v in judged]
        claims = {verdict.finding: verdict.claim for side in verdicts for verdict in side}
        text = compare_page(
            (first[0], second[0]), differences, verdict_pairs(verdicts[0], verdicts[1]), claims, remarks, csrf
        )
        return HTMLResponse(text)

    def map(self, request: Request) -> Response:
        """A traced boundary, or how far it is."""
        slug, name = request.path_params["slug"], request.path_params["name"]
        found = self.catalogue.find_map(slug, name)
        if found is None and self.jobs.of(slug, name) is not None:
            found = StoredMap(slug, name, self.catalogue.root, 0)
        if found is None:
            return HTMLResponse(broken_page("No such map", "The store has no map of this name.", self.access.csrf), 404)
        study = self.library.find(slug, 0.0)
        return HTMLResponse(map_page(found, study.title if study else slug, self.access.csrf))

    def _find(self, request: Request) -> tuple[Run, Store]:
        found = self.catalogue.find(request.path_params["slug"], request.path_params["name"])
        if found is None:
            raise UsageError("the store has no run of this name")
        return found

    def _planned(self, run: Run, store: Store) -> dict[str, dict[str, Any]]:
        stamp = store.fingerprint()
        with self._lock:
            known = self._places.get(store.folder)
        if known is None or known[0] != stamp or not known[1]:
            known = stamp, planned_places(self.library.find(run.slug, 0.0), store, run.preset)
            with self._lock:
                self._places[store.folder] = known
        return known[1]

    @_data
    def all_states(self, request: Request) -> Any:
        """States and verdicts of all runs, as HTML for the first page."""
        answer = {}
        for run in self.catalogue.runs()[0]:
            store = Store(run.folder, run.slug, run.settings_hash)
            try:
                shown = {
                    "states": state_summary(_counts(store)),
                    "verdicts": verdict_summary(self.judging.soon(run, store)),
                }
            except StoreError as error:
                shown = {"states": "", "verdicts": verdict_summary(str(error))}
            answer[f"{run.slug}/{run.settings_hash}"] = shown
        return {"runs": answer}

    @_data
    def state(self, request: Request) -> Any:
        """What changed since a mark."""
        slug, name = request.path_params["slug"], request.path_params["name"]
        job = self.jobs.describe(self.jobs.of(slug, name))
        found = self.catalogue.find(slug, name)
        if found is None and job is not None:
            return {"pending": True, "job": job}
        run, store = self._find(request)
        changes = self.states.changes(store, request.query_params.get("mark", ""))
        places = self._planned(run, store)
        cells = {
            cell: {**about, **places.get(cell, {})}
            for cell, about in changes["cells"].items()
            if not changes["whole"] or about["state"] in SHOWN
        }
        states = store.states()
        arms: dict[str, dict[str, int]] = {}
        for cell, place in places.items():
            counts = arms.setdefault(place["arm"], {"done": 0, "all": 0})
            counts["all"] += 1
            counts["done"] += states.get(cell) == "done"
        return {
            **changes,
            "cells": cells,
            "arms": arms,
            "job": job,
            "stamp": store.fingerprint(),
            "ready": self.library.ready,
        }

    @_data
    def cells(self, request: Request) -> Any:
        """A page of the table of cells."""
        run, store = self._find(request)
        state = request.query_params.get("state", "")
        every = self.states.changes(store)["cells"]
        chosen = [cell for cell, about in every.items() if state in ("", about["state"])]
        pages = max(1, -(-len(chosen) // ROWS))
        number = min(max(_whole(request, "page", 1), 1), pages)
        places = self._planned(run, store)
        rows = []
        for cell in chosen[(number - 1) * ROWS : number * ROWS]:
            place = places.get(cell) or stored_place(store, cell)
            about = {key: every[cell].get(key) for key in ("state", "message", "step", "steps")}
            rows.append({"cell": cell, **about, **place})
        return {"rows": rows, "page": number, "pages": pages, "all": len(chosen)}

    @_data
    def verdicts(self, request: Request) -> Any:
        """The table of verdicts as HTML, and as plain values."""
        run, store = self._find(request)
        judged, stamp = self.judging.now(run, store)
        study = self.library.find(run.slug)
        if isinstance(judged, str) or study is None:
            reason = verdict_summary(judged if isinstance(judged, str) else None)
            return {"html": f'<div class="reason">{reason}</div>', "stamp": stamp}
        waiting = sum(state != "done" for state in store.states().values())
        notices = [f"{waiting} cells are not finished; these verdicts rest on the others."] if waiting else []
        if different := differences(study, store, run.preset):
            notices.append(f"Not what the thresholds were chosen for: {different}.")
        changed = changed_settings(study, run.preset, store.manifest["settings"], but=("seeds",))
        values = [verdict.to_json(study.slug, run.preset, run.settings_hash, changed) for verdict in judged]
        return {"html": findings_of(study, run.preset, judged, notices), "verdicts": values, "stamp": stamp}

    @_data
    def variables(self, request: Request) -> Any:
        """What can be drawn."""
        _, store = self._find(request)
        if not store.committed():
            return {"variables": [], "stamp": ""}
        answer = self.results.derive(store, "variables", variables_of)
        damaged = self.results.derive(store, "damaged", lambda ds: str(ds.attrs.get("damaged_cells", "")))
        return {"variables": answer, "stamp": store.fingerprint(), "damaged": damaged.splitlines()}

    @_data
    def curves(self, request: Request) -> Any:
        """One variable, decimated."""
        _, store = self._find(request)
        query = request.query_params
        window = None
        if "from" in query and "to" in query:
            window = (_real(request, "from"), _real(request, "to"))
        scale = cast('Literal["linear", "log"]', "log" if query.get("scale") == "log" else "linear")
        asked = CurveRequest(
            query.get("variable", ""),
            tuple(query.getlist("arm")),
            tuple((key[3:], value) for key, value in sorted(query.items()) if key.startswith("at.")),
            _whole(request, "columns", 600),
            scale,
            window,
            query.get("seeds") == "1",
        )
        return self.results.derive(store, asked, lambda ds: curves_of(ds, asked))

    @_data
    def phase(self, request: Request) -> Any:
        """A plane of one variable."""
        _, store = self._find(request)
        query = request.query_params
        at = {key[3:]: value for key, value in sorted(query.items()) if key.startswith("at.")}
        name, x, y = query.get("variable", ""), query.get("x", ""), query.get("y", "")
        key = ("phase", name, x, y, tuple(at.items()))
        return self.results.derive(store, key, lambda ds: phase_of(ds, name, x, y, at))

    @_data
    def figure(self, request: Request) -> Any:
        """One of the study's own figures."""
        run, store = self._find(request)
        study, number = self.library.find(run.slug), request.path_params["number"]
        if study is None or number >= len(study.figures):
            raise UsageError("the study has no such figure")
        if not store.committed():
            return {"missing": "no results yet"}
        return self.results.derive(store, ("figure", number), lambda ds: drawn(study, number, ds))

    @_data
    def map_data(self, request: Request) -> Any:
        """A traced boundary."""
        found = self.catalogue.find_map(request.path_params["slug"], request.path_params["name"])
        if found is None or not found.finished:
            raise UsageError("the store has no map of this name")
        return map_of(found.path, _whole(request, "at", 0) if "at" in request.query_params else None)

    @_data
    def map_state(self, request: Request) -> Any:
        """How far a map is."""
        slug, name = request.path_params["slug"], request.path_params["name"]
        found, job = self.catalogue.find_map(slug, name), self.jobs.of(slug, name)
        runs = 0 if found is None else count_runs(found.path.parent)
        return {"stamp": str(found.stamp if found else 0), "runs": runs, "job": self.jobs.describe(job)}

    def static(self, request: Request) -> Response:
        """Our own files, and the script of the plotting library."""
        name = request.path_params["name"]
        path = self._static.get(name)
        if path is None:
            return PlainTextResponse("there is no such file", 404)
        age = "max-age=31536000, immutable" if name.startswith("plotly-") else "no-cache"
        return FileResponse(path, headers={"cache-control": age})


def _static_files() -> dict[str, Path]:
    here = Path(__file__).parent
    files = {path.name: path for path in sorted((here / "static").iterdir()) if path.suffix in (".css", ".js")}
    files["report.css"] = here.parent / "study" / "report.css"
    return {**files, script_name(): script_path()}


def _counts(store: Store) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(STATES, 0)
    for state in store.states().values():
        counts[state if state in counts else "waiting"] += 1
    return counts


def _whole(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{name} must be a whole number; got {text[:40]!r}")
    return int(text)


def _real(request: Request, name: str) -> float:
    try:
        return float(request.query_params[name])
    except ValueError:
        raise UsageError(f"{name} must be a number; got {request.query_params[name][:40]!r}") from None
