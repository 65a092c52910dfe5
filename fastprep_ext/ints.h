/* Python's int as a number, without a call where it is small. */
#ifndef FASTPREP_INTS_H
#define FASTPREP_INTS_H

#include <Python.h>

/* The value of an int (of the very type, no other object) if it is one digit of Python's, below 2^30;
 * else what PyLong_AsLongLong says, with its error. */
static inline long long int_value(PyObject *item) {
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact((PyLongObject *)item))
        return (long long)PyUnstable_Long_CompactValue((PyLongObject *)item);
#else
    if (Py_SIZE(item) == 1) return (long long)((PyLongObject *)item)->ob_digit[0];
#endif
    return PyLong_AsLongLong(item);
}

#endif
