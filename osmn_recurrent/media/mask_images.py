"""Masks in pictures: palette, grey, colours, transparency, soft borders, 16 bits."""

import pathlib

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image, upright
from osmn_recurrent.media import flat_regions
from osmn_recurrent.media.decoded_mask import VOID_LABEL, DecodedMask, one_object

SAVE_AS = (
    "save it as an 8-bit palette (indexed) PNG whose pixel values are the object "
    "ids, or as a grey PNG with 0 and 255 for a single object"
)

MARK = ("Description", "object ids, palette index = id")
"""Text in PNGs that this library writes: nothing about them needs guessing."""

SMALL = 32
"""Grey levels up to this one are ids; data sets label a handful of objects."""

MOST_OBJECTS = 254
"""Ids are 1 to 254."""

_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_DARK = 8
_LEAST_WHITE = 16  # of soft masks in 16 bits, brought to 8; below it are ids
_SOFT_NOTE = (
    "soft",
    "has soft (anti-aliased or compressed) borders; it is cut at half between "
    "object and background",
)


def decode_image(path):
    """Decodes a picture that is a mask.

    Args:
        path: any picture that Pillow reads.

    Returns:
        `DecodedMask`.

    Raises:
        InputError: unreadable, too large, or a picture of something else.
    """
    with open_image(path, kind="mask", advice=SAVE_AS) as image:
        image.load()
        lossy = image.format in _LOSSY
        bits = _grey_bits(path) if image.format == "PNG" else 8
        return _decode(upright(image), pathlib.Path(path), lossy, bits)


def _grey_bits(path):
    """Bits per pixel of a grey PNG, which Pillow spreads over 0 to 255."""
    with open(path, "rb") as file:
        header = file.read(26)
    return header[24] if len(header) == 26 and header[25] == 0 else 8


def _decode(image, path, lossy, bits=8):
    mode = image.mode
    if mode == "1":
        return one_object(np.asarray(image))
    if mode == "L":
        return grey_mask(np.asarray(image), path, lossy, bits)
    if mode == "P":
        return _indexed(image, path, lossy)
    if mode[0] in "IF" and mode != "F;16":
        return decode_array(np.asarray(image), path)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _transparent(np.asarray(image.convert("RGBA")), path, lossy)
    return colour_mask(np.asarray(image.convert("RGB")), path, lossy)


# Palettes.


def _indexed(image, path, lossy):
    """Indices are ids, unless the palette says that they cannot be."""
    indices, palette = np.asarray(image), full_palette(image.getpalette())
    plain = DecodedMask(indices, palette=palette)
    if palette == masks.davis_palette() or image.info.get(MARK[0]) == MARK[1]:
        return plain
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    colours = np.array(palette, np.uint8).reshape(256, 3)
    if "transparency" in image.info and used.any():
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if (alpha[indices > 0] < 128).any():
            return _transparent(np.asarray(image.convert("RGBA")), path, lossy)
    if (colours[used] == used[:, None]).all():  # a grey picture
        return grey_mask(indices, path, lossy)
    if used.size > 4 and _is_soft(indices, used, colours):
        return colour_mask(colours[indices], path, lossy)
    if colours[0].max() > _DARK:
        return _other_background(indices, colours, used, path) or plain
    return plain


def _is_soft(indices, used, colours):
    """Whether colours of a palette are soft borders between others."""
    soft = flat_regions.soft_pixels(colours[indices])
    shares, totals = flat_regions.soft_shares(indices, soft, 256)
    thin = used[(shares[used] >= 0.5) & (used > 0)]
    return thin.size > 2 or totals[thin].sum() > 0.2 * indices.size


def full_palette(palette):
    """768 ints of a picture's palette; what it lacks is that of DAVIS."""
    palette = list(palette or masks.davis_palette())[:768]
    return tuple(palette + list(masks.davis_palette())[len(palette) :])


def _other_background(indices, colours, used, path):
    """A palette whose index 0 is not black: the mask by colour, None for by index."""
    border = _border(indices)
    dark = used[colours[used].max(1) <= _DARK]
    if dark.size and np.isin(border, dark).mean() >= 0.5:
        found, place = np.unique(colours[used], axis=0, return_inverse=True)
        labels = np.zeros(256, int)
        labels[used] = place.ravel()
        return _colours(labels[indices], found.astype(int), path).noted(
            "palette",
            "has a palette whose index 0 is not the background; black (index "
            f"{dark[0]}) is taken for it",
        )
    if used[0] == 0 and (dark.size or (border == 0).mean() < 0.5):
        other = np.bincount(border).argmax() if not dark.size else dark[0]
        raise InputError(
            f"{path} has the palette index 0 in the colour "
            f"{tuple(colours[0].tolist())} and index {other} in "
            f"{tuple(colours[other].tolist())}, so which of them is the background "
            f"is unclear; {SAVE_AS}."
        )
    return None


def _border(labels):
    return np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])


# Grey levels.


def grey_mask(values, path, lossy=False, bits=8):
    """Decodes grey levels.

    Args:
        values: (H, W) uint8.
        path: the file, for errors.
        lossy: whether it was compressed with loss, as JPEGs are.
        bits: of a pixel in the file; 2 and 4 were spread over 0 to 255.

    Returns:
        `DecodedMask`.

    Raises:
        InputError: no mask but a picture.
    """
    totals = np.bincount(values.ravel(), minlength=256)
    used = np.flatnonzero(totals)
    objects = used[used > 0]
    if not objects.size or objects.tolist() in ([1], [255]):
        return one_object(values)
    if lossy:
        return _lossy_grey(values, path)
    if objects.max() > SMALL:
        soft = flat_regions.soft_pixels(values)
        shares, _ = flat_regions.soft_shares(values, soft, 256)
        thin = objects[(shares[objects] >= 0.5) & (objects < objects[-1])]
        # Ids without a gap may be as thin as they like, but not most of them: these are
        # the levels of a slope, whatever its share of a large object is.
        counted = objects.tolist()[:-1] == list(range(1, objects.size))
        few = totals[thin].sum() < 0.3 * totals[objects].sum()
        few = few and thin.size < objects.size / 2
        if thin.size and not (counted and few):
            flat = np.setdiff1d(used, thin)
            inside = totals * (1 - shares)
            return _soft_grey(
                values, flat_regions.merged_levels(flat, inside[flat]), path
            )
    if bits < 8:
        return DecodedMask(values // (255 // ((1 << bits) - 1)))
    return _levels(values, objects, path)


def _levels(values, objects, path):
    """Flat levels: ids, or objects spread up to white."""
    if objects[-1] == masks.VOID:
        if objects[-2] <= SMALL:
            return DecodedMask(values).noted(
                "void", "has ids and pixels of 255, which are void: no object's"
            )
        return _keyed(values, objects, "level").noted(
            "white",
            "has objects in grey levels up to white: 255 is taken for an object, not "
            "for void",
        )
    if objects.size > MOST_OBJECTS:
        raise _no_mask(path, f"{objects.size} grey levels")
    if objects[-1] <= SMALL:
        return DecodedMask(values)
    return _keyed(values, objects, "level")


def _keyed(values, objects, kind):
    """Labels 1, 2, ... for the sorted values `objects`."""
    labels = np.searchsorted(objects, values) + 1
    labels = np.where(values == 0, 0, labels).astype(np.uint8)
    return DecodedMask(labels, tuple((kind, int(each)) for each in objects))


def _lossy_grey(values, path):
    levels = flat_regions.smooth_levels(values)
    if max(levels, default=0) <= SMALL and values.max() <= 2 * SMALL:
        raise InputError(
            f"{path} is compressed with loss and has no level above {values.max()}, so "
            f"ids in it cannot be told apart; {SAVE_AS}."
        )
    return _soft_grey(values, levels, path)


def _soft_grey(values, levels, path):
    """Cuts a soft grey picture whose flat levels are `levels`."""
    objects = np.array([each for each in levels if each > flat_regions.NEAR], int)
    if objects.size < 2:
        bright = int(objects[0]) if objects.size else int(values.max())
        between = (values > bright // 8) & (values < bright - bright // 8)
        if between.mean() > 0.5:
            raise _no_mask(path, "values between black and white in most pixels")
        return one_object(values >= (bright + 1) / 2).noted(*_SOFT_NOTE)
    distance = np.abs(np.arange(256)[:, None] - np.array(levels))
    flat = (distance.min(1) <= flat_regions.NEAR)[values]
    if flat.mean() < 0.7 or objects.size > MOST_OBJECTS:
        raise _no_mask(path, f"{np.unique(values).size} grey levels without flat areas")
    snapped = np.array(levels)[distance.argmin(1)][values]
    snapped = np.where(snapped <= flat_regions.NEAR, 0, snapped)
    white = objects[-1] >= 255 - flat_regions.NEAR
    if white:
        snapped = np.where(snapped == objects[-1], 255, snapped)
        objects[-1] = 255
    snapped = flat_regions.nearest_flat(snapped, flat).astype(np.uint8)
    return _levels(snapped, objects, path).noted(*_SOFT_NOTE)


def _no_mask(path, found):
    return InputError(
        f"{path} has {found}, more like a picture than a mask of objects; {SAVE_AS}."
    )


# Colours.


def colour_mask(pixels, path, lossy=False):
    """Decodes colours.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        path: the file, for errors.
        lossy: whether it was compressed with loss.

    Returns:
        `DecodedMask`; keys are `("colour", (r, g, b))` in order of appearance.

    Raises:
        InputError: no mask but a picture, or no colour that is the background.
    """
    spread = pixels.max(-1).astype(int) - pixels.min(-1)
    if spread.max() <= (24 if lossy else 0):
        return grey_mask(pixels[..., 0], path, lossy)
    if lossy:
        colours = np.array(flat_regions.smooth_colours(pixels), int).reshape(-1, 3)
        return _soft_colours(pixels, colours, path)
    codes = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    found, labels = np.unique(codes, return_inverse=True)
    labels = labels.reshape(codes.shape)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], -1)
    soft = flat_regions.soft_pixels(pixels)
    shares, totals = flat_regions.soft_shares(labels, soft, len(found))
    flat = shares < 0.5
    if flat.all():
        if len(found) > MOST_OBJECTS + 1:
            raise _no_mask(path, f"{len(found)} colours")
        return _colours(labels, colours, path)
    if totals[~flat].sum() > 0.5 * labels.size:
        raise _no_mask(path, f"{len(found)} colours")
    # Ends of slopes are flat too, but small and near a large area.
    order = np.flatnonzero(flat)[np.argsort(-totals[flat], kind="stable")]
    kept = []
    for place in order:
        near = [np.abs(colours[place] - colours[k]).max() for k in kept]
        if min(near, default=255) > flat_regions.NEAR:
            kept.append(place)
    return _soft_colours(pixels, colours[kept], path)


def _soft_colours(pixels, colours, path):
    """Cuts a soft picture whose flat colours are the (N, 3) ints `colours`."""
    if not 0 < len(colours) <= MOST_OBJECTS:
        raise _no_mask(path, f"{len(colours)} flat colours")
    nearest = np.full(pixels.shape[:2], 2**30, np.int32)
    labels = np.zeros(pixels.shape[:2], np.uint8)
    for k, colour in enumerate(colours):
        distance = np.abs(pixels.astype(np.int32) - colour.astype(np.int32)).max(-1)
        labels[distance < nearest] = k
        nearest = np.minimum(nearest, distance)
    flat = nearest <= 2 * flat_regions.NEAR
    if flat.mean() < 0.5:
        raise _no_mask(path, "no flat colours in most pixels")
    if len(colours) > 2:  # of two, the nearer colour is the cut at half
        labels = flat_regions.nearest_flat(labels, flat)
    known = np.array(list(masks.ids_by_colour()))
    snapped = []
    for colour in colours:
        gaps = np.abs(known - colour).max(1)
        near = known[gaps.argmin()] if gaps.min() <= 12 else colour
        snapped.append([0, 0, 0] if colour.max() <= flat_regions.NEAR else near)
    return _colours(labels, np.array(snapped), path).noted(*_SOFT_NOTE)


def _colours(labels, colours, path):
    """Objects by flat colours: those of PASCAL and DAVIS, or any others.

    Args:
        labels: (H, W) integers, places in `colours`.
        colours: (N, 3) ints.
    """
    tuples = [tuple(each) for each in colours.tolist()]
    known = masks.ids_by_colour()
    if all(each in known for each in tuples):
        ids = np.array([known[each] for each in tuples], np.uint8)[labels]
        return colour_keys(ids, {known[each]: each for each in tuples if any(each)})
    ground = [k for k, each in enumerate(tuples) if max(each) <= _DARK]
    note = None
    if not ground:
        ground, note = _ground_of_border(labels, tuples, path)
    present = np.unique(labels, return_index=True)
    order = [k for _, k in sorted(zip(present[1], present[0])) if k not in ground]
    place = np.zeros(len(tuples), np.uint8)
    place[order] = np.arange(1, len(order) + 1)
    decoded = DecodedMask(place[labels], tuple(("colour", tuples[k]) for k in order))
    return decoded.noted("ground", note) if note else decoded


def colour_keys(ids, colours):
    """A mask of known colours: keys by colour, so that others may join them.

    Args:
        ids: (H, W) uint8, 255 is void.
        colours: `{id: (r, g, b)}` of all but the background.
    """
    present = np.unique(ids[ids > 0], return_index=False)
    present = [int(i) for i in present if i != masks.VOID]
    place = np.zeros(256, np.uint8)
    place[present] = np.arange(1, len(present) + 1)
    place[masks.VOID] = VOID_LABEL
    return DecodedMask(place[ids], tuple(("colour", colours[i]) for i in present))


def _ground_of_border(labels, tuples, path):
    """The background of a mask without black: what covers most of its border."""
    border = _border(labels)
    counts = np.bincount(border, minlength=len(tuples))
    ground = int(counts.argmax())
    if len(tuples) < 2 or counts[ground] < 0.5 * border.size:
        raise InputError(
            f"{path} has no black, and none of its {len(tuples)} colours covers most "
            f"of its border, so which is the background is unclear; {SAVE_AS}."
        )
    return [ground], (
        f"has no black; {tuples[ground]}, which covers most of its border, is taken "
        "for the background"
    )


# Transparency.


def _transparent(pixels, path, lossy):
    """Decodes (H, W, 4) uint8 RGBA."""
    alpha = pixels[..., 3]
    if alpha.min() == alpha.max():  # it says nothing
        return colour_mask(pixels[..., :3], path, lossy)
    half = (int(alpha.max()) + 1) / 2
    shown = alpha >= half
    soft = np.count_nonzero((alpha > 16) & (alpha < alpha.max() - 16)) > 0
    where = one_object(shown, ("alpha",))
    found, counts = np.unique(
        pixels[alpha >= alpha.max() - 1][:, :3], axis=0, return_counts=True
    )
    several = 1 < len(found) <= MOST_OBJECTS and counts.min() >= 4
    if several and not lossy:
        ground = np.where(shown[..., None], pixels[..., :3], 0).astype(np.uint8)
        inside = flat_regions.soft_pixels(ground)[shown].mean()
        if inside < 0.5:
            where = colour_mask(ground, path)
    elif len(found) == 1 and tuple(found[0].tolist()) in masks.ids_by_colour():
        colour = tuple(found[0].tolist())
        known = masks.ids_by_colour()[colour]
        if known not in (0, masks.VOID):
            where = DecodedMask(where.labels, (("colour", colour),))
    return where.noted(*_SOFT_NOTE) if soft else where


# Sixteen bits and more.


def decode_array(values, path):
    """Decodes numbers of any kind: 16 bits, 32 bits, floats, bool.

    Args:
        values: (H, W) numbers.
        path: the file, for errors.

    Returns:
        `DecodedMask`.

    Raises:
        InputError: values that are no ids and no soft mask.
    """
    if values.dtype == bool:
        return one_object(values)
    if not np.isfinite(values).all() or values.min() < 0:
        raise InputError(
            f"{path} has values that are no ids (negative, infinite or none at all); "
            f"{SAVE_AS}."
        )
    whole = bool((values == np.floor(values)).all())
    top = values.max()
    if not whole:
        if top > 255:
            raise InputError(
                f"{path} has values with fractions up to {top:g}, which are no ids; "
                f"{SAVE_AS}."
            )
        scale = 255.0 if top <= 1 else 1.0
        return grey_mask(np.rint(values * scale).astype(np.uint8), path)
    if top >= 2**63:
        raise _no_mask(path, f"values up to {top}")
    values = values.astype(np.int64)
    if top <= 255:
        return grey_mask(values.astype(np.uint8), path)
    for step in (257, 256):  # eight bits spread over sixteen, or moved up
        if (values % step == 0).all() and top // step <= 255:
            return grey_mask((values // step).astype(np.uint8), path)
    objects, flat = np.unique(values[values > 0]), _flat_values(values)
    scaled = np.rint(values * (255.0 / 65535.0)).clip(0, 255).astype(np.uint8)
    soft = flat_regions.soft_pixels(scaled)[values > 0].mean() > 0.05
    # In a large picture slopes are a small share of it, but have many values.
    soft = soft or objects.size - flat > max(4, 2 * flat)
    if soft or objects.size > MOST_OBJECTS:
        many = flat > MOST_OBJECTS
        if many or top > 65535 or scaled.max() < _LEAST_WHITE:
            raise _no_mask(path, f"{objects.size} different values up to {top}")
        return grey_mask(scaled, path)
    return _keyed(values, objects, "value")


def _flat_values(values):
    """How many different values above 0 fill a square of 2 x 2 pixels somewhere."""
    corner = values[:-1, :-1]
    same = (corner == values[1:, :-1]) & (corner == values[:-1, 1:])
    return np.unique(corner[same & (corner == values[1:, 1:]) & (corner > 0)]).size
