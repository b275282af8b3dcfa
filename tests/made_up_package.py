"""Made-up source code, of which `saeflow.code` is asked what is reached."""

from saeflow.code import Source


class Package:
    """Made-up source: modules by name ("a", "pack.b"; "pack" is a package where it has modules)."""

    def __init__(self, place):
        self.root, self.scripts = place / "workflow", place / "scripts"
        self.write("", "")

    def write(self, module, text):
        base = self.root.joinpath("saeflow", *filter(None, module.split(".")))
        base.parent.mkdir(parents=True, exist_ok=True)
        is_package = not module or base.is_dir() or module.endswith("pack")
        path = base / "__init__.py" if is_package else base.with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def script(self, name, text):
        self.scripts.mkdir(exist_ok=True)
        (self.scripts / name).write_text(text)

    def source(self, cache=None):
        return Source(self.root, self.scripts, cache)

    def closure(self, *roots):
        return self.source().closure([_full(root) for root in roots])

    def reached(self, *roots):
        """What is reached, without "saeflow."."""
        return {name.removeprefix("saeflow.") for name in self.closure(*roots)}


def _full(root):
    return root if root.startswith("scripts/") else f"saeflow.{root}"


def same(package, module, before, after, root):
    """Whether two texts of a module have the same closure from a root."""
    package.write(module, before)
    closure = package.closure(root)
    package.write(module, after)
    return package.closure(root) == closure
