"""The training curve: one row a validation, of all processes together."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from dataclasses import asdict
import lightning as L
import torch
from unblur.training.callbacks import History

class Ranked(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, index):  # 1 in the first process, 3 in the second
        return self.weight.sum() * 0 + 1.0 + 2.0 * self.global_rank

    def validation_step(self, batch, index):
        for name in ("psnr", "gain"):
            self.log(f"val/{name}", torch.tensor(30.0), sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(8, 1))

    val_dataloader = train_dataloader

history = History()
trainer = L.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False, callbacks=[history],
                    enable_checkpointing=False, enable_progress_bar=False, num_sanity_val_steps=1)
trainer.fit(Ranked())
if trainer.is_global_zero:
    open(sys.argv[1], "w").write(json.dumps([asdict(row) for row in history.rows]))
"""


def test_the_loss_is_the_mean_over_all_processes(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "rows.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["step"], row["train_loss"], row["val_psnr"]) for row in rows] == [(4, 2.0, 30.0), (8, 2.0, 30.0)]
