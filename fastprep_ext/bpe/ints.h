/* Values of Python ints, without a call for small ones; lists of ids, and of pairs of places. */
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

/* The int objects of ids, kept for all vocabularies and for the life of the process: made when an id is
 * first listed, so that those in use are neighbours in memory. (Made for all ids in order, most of each
 * cache line was never used: 0.84 times the speed of lists of prose in o200k.)
 *
 * Where there is a GIL, they are immortal: from 3.12 on as the interpreter's own small ints are, before
 * that by a count that no program can bring to 0, since freeing 2^60 references takes longer than it runs.
 * So a list refers to them without counting it, and making one neither reads nor writes the objects,
 * which are a cache miss each, and whose lines threads would take from one another.
 */
#define MAX_KEPT_INTS ((uint32_t)1 << 18)

static PyObject *kept_ints[MAX_KEPT_INTS];

#if !defined(Py_GIL_DISABLED) && SIZEOF_VOID_P >= 8
#define ARE_IMMORTAL 1
#if PY_VERSION_HEX >= 0x030C0000
#define IMMORTAL ((Py_ssize_t)3 << 30)
#else
#define IMMORTAL ((Py_ssize_t)1 << 60)
#endif
#endif

/* A reference to the int of an id that has none yet; NULL with an exception. */
static PyObject *new_int(uint32_t id) {
    PyObject *none = NULL, *item = PyLong_FromUnsignedLong(id);
    if (!item || id >= MAX_KEPT_INTS) return item;
#ifdef ARE_IMMORTAL
    Py_SET_REFCNT(item, IMMORTAL);
#else
    Py_INCREF(item);
#endif
    /* Without a GIL another thread may have made it in the same time. */
    if (!__atomic_compare_exchange_n(&kept_ints[id], &none, item, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
#ifndef ARE_IMMORTAL
        Py_DECREF(item);
        Py_DECREF(item);
        Py_INCREF(none);
#endif
        return none;
    }
    return item;
}

/* Fill a new list of `count` places with ids. -1 with an exception, and then the rest are empty. */
static int list_ids(PyObject *list, const uint32_t *ids, Py_ssize_t count) {
    PyObject **items = ((PyListObject *)list)->ob_item;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = ids[i] < MAX_KEPT_INTS ? __atomic_load_n(&kept_ints[ids[i]], __ATOMIC_ACQUIRE) : NULL;
        if (!item) {
            item = new_int(ids[i]);
            if (!item) return -1;
        } else {
#ifndef ARE_IMMORTAL
            Py_INCREF(item);
#endif
        }
        items[i] = item;
    }
    return 0;
}

/* Places in a text that are kept as ids are: more would only be of use to long texts. */
#define MAX_KEPT_PLACES ((int64_t)1 << 16)

/* A reference to an int. */
static inline PyObject *place_int(int64_t place) {
    if (place < 0 || place >= MAX_KEPT_PLACES) return PyLong_FromLongLong(place);
    PyObject *item = __atomic_load_n(&kept_ints[place], __ATOMIC_ACQUIRE);
    if (!item) return new_int((uint32_t)place);
#ifndef ARE_IMMORTAL
    Py_INCREF(item);
#endif
    return item;
}

/* Fill a new list of `count` places with tuples of two. -1 with an exception, and then the rest are empty.
 *
 * The collector does not run: every 700 tuples it would visit all of the list. Pairs of ints are in no
 * cycle, so it need not know them afterwards.
 */
static int fill_pairs(PyObject *list, const int64_t *values, Py_ssize_t count) {
    PyObject **items = ((PyListObject *)list)->ob_item;
    PyObject *last = NULL; /* of the pair before */
    int was_enabled = PyGC_Disable();
    Py_ssize_t i;
    for (i = 0; i < count; i++) {
        PyObject *pair = PyTuple_New(2), *first, *second;
        if (!pair) break;
        PyObject_GC_UnTrack(pair);
        /* Most begin where the one before ends. */
        if (last && values[2 * i] == values[2 * i - 1]) {
            first = last;
            Py_INCREF(first);
        } else {
            first = place_int(values[2 * i]);
        }
        second = first ? place_int(values[2 * i + 1]) : NULL;
        PyTuple_SET_ITEM(pair, 0, first);
        PyTuple_SET_ITEM(pair, 1, second);
        if (!second) {
            Py_DECREF(pair);
            break;
        }
        last = second;
        items[i] = pair;
    }
    if (was_enabled) PyGC_Enable();
    return i < count ? -1 : 0;
}

#endif
