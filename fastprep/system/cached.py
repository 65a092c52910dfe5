"""``functools.cached_property`` without the import of functools, which is 5 % of loading gpt2."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    # To pyright a class with a cached_property does not fit a protocol with a property.
    cached_property = property
else:

    class cached_property:
        """Attribute that is computed on first access and then kept.

        >>> class Circle:
        ...     @cached_property
        ...     def size(self):
        ...         print("measured")
        ...         return 3
        >>> circle = Circle()
        >>> circle.size, circle.size
        measured
        (3, 3)
        """

        def __init__(self, function):
            self.function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            # From now on the instance's own attribute is found first. If two threads compute it at
            # the same time, both get the result that was stored first.
            return vars(instance).setdefault(self.name, self.function(instance))
