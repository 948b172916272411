"""Writes every dashboard into deploy/grafana/dashboards: ``python -m deploy.grafana``. A test compares them."""

from pathlib import Path

from deploy.grafana.write import files

FOLDER = Path(__file__).parent / "dashboards"


def main() -> None:
    """Write what there is, and remove what is no longer."""
    FOLDER.mkdir(exist_ok=True)
    made = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
