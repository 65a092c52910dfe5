/* Python's int as a number, without a call where it is small; and ints that threads share. */
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

/* The int that stands there, whole, or NULL; and to put one there that others may see at once. */
static inline PyObject *int_load(PyObject **place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

static inline void int_store(PyObject **place, PyObject *item) {
    __atomic_store_n(place, item, __ATOMIC_RELEASE);
}

#endif
