"""``functools.cached_property`` without the import of functools, a twentieth of loading gpt2."""

from __future__ import annotations

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from functools import cached_property as cached_property
else:

    class cached_property:
        """An attribute that is computed when it is first asked for, and then stays.

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

        def __init__(self, make):
            self.make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            # From now on the instance's own attribute is found first. Of two threads that make it
            # at the same time both get the first one's.
            return vars(instance).setdefault(self.name, self.make(instance))
