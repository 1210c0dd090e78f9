"""The scores by name: what a table calls each, and how many decimals it shows."""

COMMON = "common_rmse"
"""RMSE on the common region of several runs, which is no run's own: `occfit compare` writes it."""

HEADINGS = {
    "accuracy": ("accuracy", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "f1": ("F1", 3),
    "occlusion_f1": ("occlusion F1", 3),
    "occlusion_iou": ("occlusion IoU", 3),
    "iou": ("IoU", 3),
    "rmse": ("RMSE", 2),
    "coverage": ("coverage", 3),
    "landmark_nme": ("landmark NME", 4),
    "vertex_error": ("vertex error, mm", 2),
    "normal_error": ("normal error, °", 1),
    COMMON: ("RMSE, common region", 2),
}
