"""Settings of a whole run that takes seconds."""

DATA = ["data.train=16", "data.validation=4", "data.test=4"]
TRAINING = [
    "recognition.people=4",
    "recognition.unseen=20",
    "recognition.steps=2",
    "stages.initialise={steps: 3, batch: 2}",
    "stages.warm_up={steps: 2, batch: 2}",
    "stages.alternate={steps: 6, batch: 2}",
    "stages.reconstruct={steps: 3, batch: 2}",
    "optimizer.alternate.schedule={period: 4, segmentation_steps: 2}",
    "trainer.threads=1",
    "trainer.precision=32-true",
    "trainer.progress=false",
]
SETTINGS = [*DATA, *TRAINING]
TINY = ["preset=smoke", *SETTINGS]
