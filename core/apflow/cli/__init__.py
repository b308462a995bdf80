"""The `apflow` program."""

__all__ = ["main"]


def main() -> None:
    """Run the program with the arguments of the command line."""
    from apflow.cli.program import program  # noqa: PLC0415 - whoever imports a part of this package needs no program

    program(prog_name="apflow")
