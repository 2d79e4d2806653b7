"""Flask's request, context and rules, as far as a delivery needs them.

Flask prepares for every request what most views use. A delivery uses little of it, and to prepare it took a fifth of
a delivery's CPU. What somebody does ask for is there, made at that moment by Flask.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, signals
from flask.ctx import RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import NullSession
from werkzeug.routing import Rule

#: What is called at the beginning and at the end of every request.
SIGNALS = (
    *(signals.request_started, signals.request_finished, signals.request_tearing_down),
    *(signals.appcontext_pushed, signals.appcontext_tearing_down, signals.appcontext_popped),
)
#: The session of deliveries, which cannot be changed.
NO_SESSION = NullSession()


class Late:
    """An object that is completed when somebody asks for what it does not have yet."""

    def _complete(self) -> None:
        """Set all attributes."""
        raise NotImplementedError

    # The type checker is shown the attributes of a complete object.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if "_is_complete" in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            changed = dict(self.__dict__)
            self._is_complete = True
            self._complete()
            self.__dict__.update(changed)
            return getattr(self, name)


class LightRequest(Late, Request):
    """A request that is read from its environ when something else than that is used."""

    def __init__(self, environ: WSGIEnvironment, _populate_request: bool = True, shallow: bool = False) -> None:
        self.environ, self.shallow = environ, shallow

    def _complete(self) -> None:
        Request.__init__(self, self.environ, populate_request=False, shallow=self.shallow)

    def close(self) -> None:
        """Close uploaded files, which are there only if somebody read the form."""
        if "files" in self.__dict__:
            super().close()


class DeliveryContext(RequestContext):
    """The context of a delivery, whose view is known.

    No session is opened, and no signal is sent.
    """

    def __init__(self, app: Flask, environ: WSGIEnvironment, rule: Rule, source: str) -> None:
        request = app.request_class(environ)
        request.json_module = app.json
        request.url_rule, request.view_args = rule, {"source": source}
        super().__init__(app, environ, request, NO_SESSION)

    def push(self) -> None:
        """Make this the current context, and a new one the application's."""
        self._app_before, self._request_before = _cv_app.set(self.app.app_context()), _cv_request.set(self)

    def pop(self, exc: BaseException | None = None) -> None:
        """Make the contexts before ``push`` the current ones again."""
        _cv_request.reset(self._request_before)
        _cv_app.reset(self._app_before)
        self.request.close()


class LazyRule(Rule):
    """A rule that prepares to build addresses when the first one is needed.

    Werkzeug compiles Python code for each rule, which takes 30 ms for all of ours: most of what a command does.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder
        compiled: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not compiled:
                compiled.append(compile_now(append_unknown))
            return compiled[0](rule, **values)

        return build
