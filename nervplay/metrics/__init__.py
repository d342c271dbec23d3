"""Quality and rate: PSNR, MS-SSIM, bits per pixel, and the report that joins a file with its source."""

from nervplay.metrics.ms_ssim import float_ms_ssim, float_ssim, ms_ssim, ms_ssim_obstacle
from nervplay.metrics.psnr import float_psnr, psnr
from nervplay.metrics.report import METRICS, Metric, Report, Series, evaluate

__all__ = [
    "METRICS",
    "Metric",
    "Report",
    "Series",
    "evaluate",
    "float_ms_ssim",
    "float_psnr",
    "float_ssim",
    "ms_ssim",
    "ms_ssim_obstacle",
    "psnr",
]
