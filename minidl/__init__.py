from .spec import Error
