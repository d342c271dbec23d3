"""Quality and rate: PSNR, SSIM, MS-SSIM, bits per pixel, BD-rate, and the report that joins a file with its source."""

from nervplay.metrics.bd import bd_psnr, bd_rate
from nervplay.metrics.ms_ssim import float_ms_ssim, float_ssim, ms_ssim, ms_ssim_obstacle, ssim
from nervplay.metrics.psnr import float_psnr, psnr, yuv_psnr
from nervplay.metrics.report import METRICS, Meter, Metric, Report, Series, evaluate

__all__ = [
    "METRICS",
    "Meter",
    "Metric",
    "Report",
    "Series",
    "bd_psnr",
    "bd_rate",
    "evaluate",
    "float_ms_ssim",
    "float_psnr",
    "float_ssim",
    "ms_ssim",
    "ms_ssim_obstacle",
    "psnr",
    "ssim",
    "yuv_psnr",
]
