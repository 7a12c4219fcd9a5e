"""Data sets, readers, augmentation, batches."""

from .augment import Flip, Mixup, Shift
from .cifar import cifar10, cifar100
from .digits import digits
from .folder import image_folder
from .idx import fashion_mnist, mnist, read_idx
from .loader import Loader
from .part import Part, Split, pair
from .sets import arrays, named
from .shapes import shapes

__all__ = [
    "Flip", "Loader", "Mixup", "Part", "Shift", "Split", "arrays", "cifar10",
    "cifar100", "digits", "fashion_mnist", "image_folder", "mnist", "named", "pair",
    "read_idx", "shapes",
]
