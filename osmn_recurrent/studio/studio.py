"""The open project of one program."""

import contextlib
import pathlib
import warnings

from osmn_recurrent import files, run_folder
from osmn_recurrent.datasets import projects
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.studio.session import Session


class Studio:
    """Holds a session, or none yet, and its project's folder.

    Args:
        make_segmenter: of `Session`.

    Attributes:
        session: the open `Session`, or None.
        notes: sentences on its video.
    """

    def __init__(self, make_segmenter):
        self._make, self.session, self.notes = make_segmenter, None, []
        self._held = contextlib.ExitStack()

    def open(self, video=None, folder=None):
        """Opens a project, or begins one of a video.

        Args:
            video: file or folder, or None with a project.
            folder: of the project. One that is there goes on if it is of this video.

        Raises:
            InputError: the video or the project cannot be used, or it is open in
                another program.
        """
        folder = pathlib.Path(folder)
        held = contextlib.ExitStack()
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", InputNote)
                if projects.is_project(folder):
                    held.enter_context(run_folder.hold(folder))
                    project = projects.Project.open(folder)
                    _refuse_other_video(project, video)
                elif video is None:
                    raise InputError(f"{folder} is no studio project.")
                else:
                    files.check_output(folder, folder=True)
                    held.enter_context(run_folder.hold(folder))
                    project = projects.Project.create(folder, video)
            session = Session(project, self._make)
        except BaseException:
            held.close()
            raise
        self.close()
        self._held, self.session = held, session
        self.notes = [str(each.message) for each in said if _is_note(each)]

    def close(self):
        """Closes what is open."""
        if self.session is not None:
            self.session.close()
        self.session = None
        self._held.close()


def _is_note(warning):
    return issubclass(warning.category, InputNote)


def _refuse_other_video(project, video):
    if video is not None and project.video.resolve() != pathlib.Path(video).resolve():
        raise InputError(
            f"{project.folder} is a project of {project.video}, not of {video}; name "
            "another folder for it."
        )
