"""Run by test_prune_and_finetune: a fit on two processes, with a metric that differs between them."""

import sys

import torch
from small import Classifier, Widths, cutter, data, one_cycle, trainer


class Apart(Classifier):
    def on_validation_epoch_end(self):
        self.log("score", float(self.current_epoch if self.global_rank else -self.current_epoch))


def main(path):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cut, widths, model = cutter(monitor="score", mode="max", finetune_epochs=2), Widths(), Apart(one_cycle)
    runner = trainer(cut, widths, devices=2, strategy="ddp", default_root_dir=path)
    runner.fit(model, data(), data())
    seen = [parameter.detach() for parameter in model.parameters()], widths.seen["end"], cut.report.metric["after_cut"]
    torch.save(seen, f"{path}/{runner.global_rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1])
