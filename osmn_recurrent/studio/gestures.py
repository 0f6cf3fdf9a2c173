"""What a gesture on the page means for a session."""

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.studio import tools


def use_tool(session, given):
    """Does what a gesture on the page means.

    Args:
        session: `Session`.
        given: dict: frame, tool (brush, eraser, polygon, box, scribble, click, drop or
            clear), id, points (list of x, y in pixels of the frame), radius, and
            background, points of a second scribble.

    Raises:
        InputError: values that mean nothing.
    """
    try:
        index, tool = int(given["frame"]), given["tool"]
        object_id = int(given.get("id") or 0)
        radius = float(given.get("radius", 1))
        points = [(float(x), float(y)) for x, y in given.get("points", ())]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "the page sent a gesture that means nothing; reload it."
        ) from None
    size = session.project.clip.size
    within = np.isfinite([radius, *np.ravel(points)]).all() and 0 < radius <= max(size)
    if not 0 <= index < len(session.frames) or not within or len(points) > 100_000:
        raise InputError("the page sent a gesture outside of the video; reload it.")
    if tool == "clear":
        return session.clear(index)
    if tool != "eraser" and not 1 <= object_id < masks.VOID:
        raise InputError(f"{object_id} is no object, expected 1 to {masks.VOID - 1}.")
    if tool == "drop":
        return session.drop(index, object_id)
    if not points:
        raise InputError("nothing was drawn; draw on the picture.")
    if tool == "eraser":
        return session.erase(index, tools.disc(size, points, radius))
    session.paint(index, _region(session, index, tool, points, radius), object_id)


def _region(session, index, tool, points, radius):
    size = session.project.clip.size
    if tool == "brush":
        return tools.disc(size, points, radius)
    if tool == "polygon":
        return tools.outline(size, points)
    frame = session.frames.frame(index)
    if tool == "scribble":
        return tools.complete(frame, tools.disc(size, points, radius))
    if tool == "box":
        (left, top), (right, bottom) = points[0], points[-1]
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return tools.complete(frame, tools.outline(size, corners), box=True)
    if tool == "click":
        return tools.click(frame, points[-1])
    raise InputError(f"there is no tool {tool!r}; reload the page.")
