"""What starts and stops runs, sweeps and maps: the forms and what becomes of them."""

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from separatrix.study.errors import UsageError

from .library import Library
from .orders import KINDS, read_order
from .processes import Jobs
from .run_page import broken_page
from .security import Access, form_of
from .start_pages import choose_study_page, start_page

__all__ = ["Starting"]


class Starting:
    """Addresses that start and stop.

    Attributes:
        access: who is let in.
        library: studies.
        jobs: what was started here.
    """

    def __init__(self, access: Access, library: Library, jobs: Jobs):
        self.access = access
        self.library = library
        self.jobs = jobs

    def routes(self) -> list[Route]:
        """All addresses."""
        return [
            Route("/start", self.choose_study),
            Route("/start/{slug}", self.form),
            Route("/start/{slug}", self.start, methods=["POST"]),
            Route("/start/{slug}/{kind}", self.form),
            Route("/start/{slug}/{kind}", self.start, methods=["POST"]),
            Route("/jobs/{id}/stop", self.stop, methods=["POST"]),
        ]

    def choose_study(self, request: Request) -> Response:
        """The studies that can be started."""
        studies = self.library.studies(20.0)
        return HTMLResponse(choose_study_page(studies, self.library.ready, self.library.trouble, self.access.csrf))

    def form(self, request: Request) -> Response:
        """The form of one study."""
        study, kind = self.library.find(request.path_params["slug"]), request.path_params.get("kind", "run")
        if study is None or kind not in KINDS:
            return HTMLResponse(broken_page("No such study", "This view knows no such study.", self.access.csrf), 404)
        preset = request.query_params.get("preset", "default")
        preset = preset if preset in study.presets else "default"
        return HTMLResponse(start_page(study, kind, preset, {}, {}, self.access.csrf))

    async def start(self, request: Request) -> Response:
        """Start what a form orders, or show what is wrong with it."""
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        kind = request.path_params.get("kind", "run")
        return await run_in_threadpool(self._start, request.path_params["slug"], kind, form)

    def _start(self, slug: str, kind: str, form: dict[str, str]) -> Response:
        study = self.library.find(slug)
        if study is None or kind not in KINDS:
            return HTMLResponse(broken_page("No such study", "This view knows no such study.", self.access.csrf), 404)
        order = read_order(study, self.library.reference(slug), kind, self.jobs.root, form)
        errors = dict(order.errors)
        if not errors:
            try:
                self.jobs.start(study.slug, order.name, order.words)
                return RedirectResponse(f"/{'maps' if kind == 'map' else 'runs'}/{study.slug}/{order.name}", 303)
            except (UsageError, OSError) as error:
                errors[""] = str(error)
        preset = form.get("preset", "default")
        preset = preset if preset in study.presets else "default"
        return HTMLResponse(start_page(study, kind, preset, form, errors, self.access.csrf), 422)

    async def stop(self, request: Request) -> Response:
        """Stop what was started here."""
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        return JSONResponse({"stopped": self.jobs.stop(request.path_params["id"])})

    async def _form(self, request: Request) -> dict[str, str] | Response:
        """The fields of a form that one of our pages sent."""
        form = await form_of(request)
        if form is None:
            return PlainTextResponse("the form is too large or not text", 413)
        if not hmac.compare_digest(form.get("csrf", "").encode(), self.access.csrf.encode()):
            return PlainTextResponse("this form is of another session; load its page again", 403)
        return form
