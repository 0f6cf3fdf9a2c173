"""Packaging of osmn_recurrent."""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

setup(
    name="osmn_recurrent",
    version="0.1.0",
    description=(
        "Semi-supervised video object segmentation with OSMN and ReConvNet, "
        "in TensorFlow 2 and Keras 3"
    ),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(
        include=["osmn_recurrent*", "checkpoints_tools*", "experiments*"]
    ),
    package_data={
        "experiments": ["flags/*.flags"],
        "osmn_recurrent.reports": ["page.css", "page.js"],
        "osmn_recurrent.models": ["weights/*.weights.h5", "weights/*.md"],
    },
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<3.16",
        "tensorboard>=2.19",
        "tensorflow-datasets>=4.9.10",
        "importlib_resources>=6.0",  # tensorflow-datasets needs it to write
        "numpy>=2.0",
        "h5py>=3.11",
        "opencv-python>=4.10",
        "pycocotools>=2.0.8",
        "absl-py>=2.1",
        "Pillow>=10.3",
        "tqdm>=4.66",
        "matplotlib>=3.9",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # What the command `tfds build` imports, and Beam for many machines.
        "tfds-build": ["mlcroissant>=1.0", "apache-beam>=2.60"],
        "crf": ["pydensecrf2>=1.1"],
        "export": ["onnxruntime>=1.20", "tf2onnx>=1.17"],
        "jax": ["jax>=0.4.34"],
        "safetensors": ["safetensors>=0.4.5"],
        "dev": [
            "jax>=0.4.34",
            "hypothesis>=6.100",
            "pytest>=8.0",
            "ruff>=0.17,<0.18",
            "safetensors>=0.4.5",
        ],
    },
    entry_points={"console_scripts": ["osmn=osmn_recurrent.cli.main:console"]},
)
