"""What the studio's page asks for, over HTTP, and the page.

A page names itself in the header `X-Page`, which pages of other origins cannot send.
"""

import contextlib
import io
import pathlib

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from osmn_recurrent import files, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.studio import exporting
from osmn_recurrent.studio.frames import preview_size
from osmn_recurrent.studio.gestures import use_tool

PAGE = pathlib.Path(__file__).with_name("page")
"""The page: its elements, its style and what it does."""

POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
"""Nothing is loaded from elsewhere, and no script in the page's text runs."""


def overlay_png(ids):
    """A mask as the page lays it over a preview: bytes of a PNG.

    Args:
        ids: (H, W) uint8; nearest neighbours where the preview is smaller.
    """
    small = masks.resize_mask(ids, preview_size(ids.shape))
    image = Image.fromarray(np.ascontiguousarray(small))
    image.putpalette(list(masks.davis_palette()))
    content = io.BytesIO()
    image.save(content, "PNG", transparency=0, compress_level=1)
    return content.getvalue()


def make_app(studio, hosts=("127.0.0.1", "localhost")):
    """The application that a server runs: the page and what it asks for.

    Args:
        studio: `Studio`.
        hosts: names by which the server may be called, so that no page of another
            name can reach it through a name server that lies.

    Returns:
        `starlette.applications.Starlette`.
    """
    checked = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return Starlette(routes=routes(studio), middleware=[checked])


def routes(studio):
    """The page, and what it asks for below `/studio`.

    Args:
        studio: `Studio`.

    Returns:
        List of `starlette.routing.BaseRoute`.
    """

    def session():
        if studio.session is None:
            raise InputError("no video is open; upload one.")
        return studio.session

    def picture(make, kind, caching):
        def answer(request):
            key, index = (request.path_params[name] for name in ("key", "index"))
            try:
                if session().key != key:
                    raise InputError("another video is open now; reload the page.")
                content = make(session(), index)
            except InputError as error:
                return JSONResponse({"error": str(error)}, 404)
            headers = {"Cache-Control": caching}
            return Response(content, media_type=f"image/{kind}", headers=headers)

        return answer

    def exported(request):
        path = session().exports().get(request.path_params["name"])
        if path is None:
            return JSONResponse({"error": "there is no such export."}, 404)
        return FileResponse(path, filename=path.name)

    def leave(request):
        studio.leave(request.query_params.get("page", ""))
        return Response(status_code=204)

    async def upload(request):
        return await _upload(studio, request)

    def kinds(request):
        given = [[k, v, k in exporting.DEFAULT] for k, v in exporting.KINDS.items()]
        return JSONResponse(given)

    def live(request):
        if studio.live is None:
            return JSONResponse({"error": "no camera or stream is shown."}, 404)
        headers = {"Cache-Control": "no-store"}
        return Response(studio.live.preview(), 200, headers, "image/jpeg")

    def index(request):
        headers = {"Content-Security-Policy": POLICY}
        return FileResponse(PAGE / "index.html", headers=headers)

    frame = picture(lambda s, i: s.frames.preview(i), "jpeg", "max-age=3600")
    mask = picture(lambda s, i: overlay_png(s.mask(i)), "png", "no-store")
    changes = {
        "tool": lambda given: use_tool(session(), given),
        "undo": lambda given: session().undo(),
        "redo": lambda given: session().redo(),
        "propagate": lambda given: session().propagate(),
        "stop": lambda given: session().stop(),
        "finetune": lambda given: session().finetune(),
        "forget_tuning": lambda given: session().forget_tuning(),
        "freeze": lambda given: studio.freeze(),
        "stop_watching": lambda given: studio.stop_watching(),
        "export": lambda given: session().export(_texts(given.get("kinds"))),
    }
    return [
        Route("/", index),
        Route("/studio/kinds", kinds),
        Route("/studio/live.jpg", live),
        Route("/studio/state", _answer(studio, lambda given: None, check=False)),
        Route("/studio/take", _answer(studio, None, check=False), methods=["POST"]),
        Route("/studio/leave", leave, methods=["POST"]),
        Route("/studio/frame/{key}/{index:int}.jpg", frame),
        Route("/studio/mask/{key}/{index:int}.png", mask),
        Route("/studio/export/{name}", exported),
        Route("/studio/upload/{name}", upload, methods=["PUT"]),
        *(
            Route(f"/studio/{name}", _answer(studio, change), methods=["POST"])
            for name, change in changes.items()
        ),
        Mount("/studio/page", StaticFiles(directory=PAGE)),
    ]


def _texts(value):
    """A tuple of str of a list out of JSON, empty if it is none."""
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _answer(studio, change, check=True):
    """An endpoint that changes something, or takes over, and gives the state.

    `changed` in it is what `change` gives: after undo and redo the frame.
    """

    async def answer(request):
        name = request.headers.get("x-page", "")
        given = None if request.method == "POST" else {}
        if request.method == "POST":
            with contextlib.suppress(ValueError):
                given = await request.json()
            if not isinstance(given, dict):
                return JSONResponse({"error": "the request is no JSON object."}, 400)
        return await run_in_threadpool(done, name, given)

    def done(name, given):
        changed = None
        try:
            if check:
                studio.check_writer(name)
            if change is None:
                studio.take(name)
            else:
                changed = change(given)
        except InputError as error:
            return JSONResponse({**studio.state(name), "error": str(error)}, 400)
        return JSONResponse({**studio.state(name), "changed": changed})

    return answer


async def _upload(studio, request):
    """Takes a video as the request's body, a piece at a time."""
    page_name, name = request.headers.get("x-page", ""), request.path_params["name"]
    try:
        studio.check_writer(page_name)
        with files.scratch_folder(studio.folder) as scratch:
            path = pathlib.Path(scratch, "upload")
            with path.open("wb") as file:
                async for piece in request.stream():
                    await run_in_threadpool(file.write, piece)
            await run_in_threadpool(studio.upload, name, path)
    except InputError as error:
        return JSONResponse({**studio.state(page_name), "error": str(error)}, 400)
    return JSONResponse(studio.state(page_name))
