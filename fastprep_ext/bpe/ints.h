/* Values of Python ints, without a call for small ones; and int objects that threads share. */
#ifndef FASTPREP_INTS_H
#define FASTPREP_INTS_H

#include <Python.h>

/* The value of an int (of exactly this type): fast if it is one digit of CPython's, below 2^30;
 * else by PyLong_AsLongLong, with its error. */
static inline long long int_value(PyObject *item) {
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact((PyLongObject *)item))
        return (long long)PyUnstable_Long_CompactValue((PyLongObject *)item);
#else
    if (Py_SIZE(item) == 1) return (long long)((PyLongObject *)item)->ob_digit[0];
#endif
    return PyLong_AsLongLong(item);
}

/* Atomic load of a shared int object, or NULL; and the store that publishes one. */
static inline PyObject *int_load(PyObject **place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

static inline void int_store(PyObject **place, PyObject *item) {
    __atomic_store_n(place, item, __ATOMIC_RELEASE);
}

#endif
