"""What a lane knows of its trial beside the run's own state."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ndvq_tune.goals import Report
from ndvq_tune.records import Rescue

HISTORY = "history.json"


@dataclass
class History:
    """The reports and rescues of a trial so far, by which a lane judges its codebook.

    It lies beside the checkpoint, so that a lane that takes over knows what was done already.
    """

    reports: list[Report] = field(default_factory=list)
    rescues: list[Rescue] = field(default_factory=list)

    def count(self, action: str) -> int:
        """How often something was done."""
        return sum(rescue.action == action for rescue in self.rescues)

    def write(self, folder: Path) -> None:
        """Put it into a checkpoint's folder."""
        (folder / HISTORY).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "History":
        """Of a checkpoint; empty where nothing was written because the trial is never rescued."""
        path = folder / HISTORY
        if not path.exists():
            return cls()
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(content["reports"], [Rescue(**rescue) for rescue in content["rescues"]])
