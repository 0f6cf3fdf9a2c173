"""Command lines of programs for tests."""


def arguments(given):
    """`--flag=value` for each of `given`, a dict; a list repeats its flag."""
    return [
        f"--{name}={value}"
        for name, values in given.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def formatted(given, folder):
    """`given`, in which `{0}` of texts and of lists of texts is a folder."""
    return {
        name: [each.format(folder) for each in value]
        if isinstance(value, list)
        else value.format(folder)
        for name, value in given.items()
    }
