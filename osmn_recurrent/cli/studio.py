"""Opens a video in the browser: paint objects, propagate, correct, export.

Example:

    osmn studio clip.mp4

Everything is kept in a project, by default runs/studio/CLIP, whose masks/ are
palette PNGs; osmn studio runs/studio/CLIP goes on with it, and
osmn segment --video=runs/studio/CLIP --out=DIR makes its masks without the page.
Without an argument a video is uploaded in the page. Of a camera (camera:0) or a
stream (rtsp://...) a frame is frozen to paint on, and all that follow are kept until
it is stopped. Needs the extra studio.
"""

import contextlib
import functools
import pathlib
import shlex
import socket
import threading
import webbrowser
from importlib.util import find_spec

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.datasets import projects, video_files
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.presets import DEFAULT, PRESETS

FLAGS = flags.FlagValues()

flags.DEFINE_string(
    "weights",
    DEFAULT,
    "A .keras or .weights.h5 file, or a preset. Here: a .keras file or a preset.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "project",
    None,
    "Folder of the project. Default: runs/studio/CLIP.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to listen at; whoever reaches it can see and change the project.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "port",
    7860,
    "Port to listen at; 0: any that is free.",
    lower_bound=0,
    upper_bound=65535,
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "browser", True, "Open the page in the default browser.", flag_values=FLAGS
)

PROJECTS = pathlib.Path("runs", "studio")


def main(video=None):
    """Serves the page until Ctrl-C; see the module's text."""
    check_packages()
    check_weights(FLAGS.weights)
    with contextlib.closing(listen(FLAGS.host, FLAGS.port)) as listener:
        from osmn_recurrent.studio.studio import Studio

        make_segmenter = functools.partial(load_segmenter, FLAGS.weights)
        with contextlib.closing(Studio(make_segmenter, PROJECTS)) as studio:
            if video is not None and is_live(video):
                name, frames = video_files.stream_frames(video)
                studio.watch(frames, name, FLAGS.project)
            elif video is not None or FLAGS.project:
                studio.open(*project_of(video, FLAGS.project))
            serve(studio, listener)
            return ended(studio)


def is_live(video):
    """Whether a video is a camera or a stream, and no file.

    Raises:
        InputError: an address that may be that of a file.
    """
    if not video_files.is_stream(video):
        return False
    if video.lower().startswith((video_files.CAMERA, "rtsp://", "rtsps://")):
        return True
    raise InputError(
        f"{video} may be a file, which osmn studio cannot read twice over the network; "
        "download it and open the file. Cameras (camera:0) and rtsp:// are opened."
    )


def ended(studio):
    """`programs.Done` of a studio: its project, and how to open it again."""
    if studio.session is not None:
        folder = studio.session.project.folder
    elif studio.live is not None and studio.live.count:
        folder = studio.live.folder
    else:
        return programs.Done()
    return programs.Done((folder,), f"osmn studio {shlex.quote(str(folder))}")


def check_packages():
    """Refuses to begin without the packages of the extra."""
    missing = [name for name in ("starlette", "uvicorn") if not find_spec(name)]
    if missing:
        raise InputError(
            f"osmn studio needs the package {missing[0]}; install it with pip install "
            "'osmn_recurrent[studio]'."
        )


def serve(studio, listener):
    """Serves a studio at a socket until Ctrl-C.

    Args:
        studio: `Studio`.
        listener: socket that listens.
    """
    import uvicorn

    from osmn_recurrent.studio import server

    host, port = listener.getsockname()[:2]
    everywhere = FLAGS.host in ("0.0.0.0", "::")
    names = ["*"] if everywhere else ["127.0.0.1", "localhost", FLAGS.host]
    app = server.make_app(studio, names)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    print(f"osmn studio: {address} (Ctrl-C ends it)", flush=True)
    for note in studio.notes:
        print(f"note: {note}", flush=True)
    if FLAGS.browser:
        threading.Thread(target=show, args=(address,), daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    with contextlib.suppress(KeyboardInterrupt):  # how it is ended
        uvicorn.Server(config).run(sockets=[listener])


def show(address):
    """Opens the page in a browser, or says that there is none."""
    if not webbrowser.open(address):
        print(
            f"note: no browser was found here; open {address} in one by hand.",
            flush=True,
        )


def project_of(video, folder):
    """`(video or None, folder)` of what the command line names."""
    if video is not None and projects.is_project(video):
        return None, folder or video
    if folder is None:
        path = pathlib.Path(video)
        folder = PROJECTS / (path.resolve().name if path.is_dir() else path.stem)
    return video, folder


def listen(host, port):
    """A socket that is bound, so that a port in use is told at once.

    Raises:
        InputError: the port is in use, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(
            f"port {port} of {host} cannot be used ({error.strerror or error}); "
            "end what uses it, or give another --port (0 takes any that is free)."
        ) from None
    return listener


def check_weights(weights):
    """Refuses weights that are no preset and no .keras file."""
    if weights not in PRESETS and not (
        weights.endswith(".keras") and pathlib.Path(weights).is_file()
    ):
        raise InputError(
            f"{weights} is neither a preset ({', '.join(PRESETS)}) nor a .keras file."
        )


def load_segmenter(weights):
    """The `VideoSegmenter` of a preset or a .keras file."""
    from osmn_recurrent.inference.segmenter import VideoSegmenter

    if weights in PRESETS:
        return VideoSegmenter.from_preset(weights)
    from osmn_recurrent.models import building

    return VideoSegmenter(building.load_model(weights))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
