/* Arrays of numpy, made and read by the table of addresses that its headers read, too.
 *
 * Without the headers the core builds without numpy, and loads without it. Places in the table, and the
 * first fields of an array, have stayed the same since numpy 1.7.
 */
#ifndef FASTPREP_ARRAYS_H
#define FASTPREP_ARRAYS_H

#include <Python.h>

typedef struct {
    PyObject_HEAD
    void *data;
    int dimensions;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    PyObject *base;
    PyObject *descr;
    int flags;
} NumpyArray;

#define NUMPY_CONTIGUOUS 0x0001
#define NUMPY_ALIGNED 0x0100
#define NUMPY_WRITEABLE 0x0400
#define NUMPY_PLAIN (NUMPY_CONTIGUOUS | NUMPY_ALIGNED | NUMPY_WRITEABLE)

static struct {
    void **api;           /* set last: the others are set where it is */
    PyTypeObject *type;
    PyObject *uint16;
    PyObject *uint32;
} NUMPY;

static inline int numpy_is_loaded(void) { return __atomic_load_n(&NUMPY.api, __ATOMIC_ACQUIRE) != NULL; }

/* Keep the table of a capsule, and the dtypes. -1 with an exception if its version is not known. */
static int numpy_load(PyObject *capsule, PyObject *uint16, PyObject *uint32) {
    void **api = (void **)PyCapsule_GetPointer(capsule, NULL);
    unsigned int version;
    if (!api) return -1;
    version = ((unsigned int (*)(void))api[0])() >> 24;
    if (version != 1 && version != 2) {
        PyErr_Format(PyExc_ImportError, "numpy has version %u of its binary interface; "
                     "install a version below 3", version);
        return -1;
    }
    NUMPY.type = (PyTypeObject *)api[2];
    Py_INCREF(uint16);
    NUMPY.uint16 = uint16;
    Py_INCREF(uint32);
    NUMPY.uint32 = uint32;
    __atomic_store_n(&NUMPY.api, api, __ATOMIC_RELEASE);
    return 0;
}

static PyObject *numpy_array(PyObject *descr, Py_ssize_t count, void *data) {
    Py_INCREF(descr);     /* which the call takes */
    return ((PyObject *(*)(PyTypeObject *, PyObject *, int, const Py_ssize_t *, const Py_ssize_t *, void *,
                           int, PyObject *))NUMPY.api[94])(
        NUMPY.type, descr, 1, &count, NULL, data, data ? NUMPY_PLAIN : 0, NULL);
}

/* A new array of uint32, uninitialized. */
static PyObject *array_new(Py_ssize_t count) { return numpy_array(NUMPY.uint32, count, NULL); }

/* An array over the first `count` items at `data`, which `owner` keeps. */
static PyObject *array_over(PyObject *owner, void *data, Py_ssize_t count, int bytes) {
    PyObject *array = numpy_array(bytes == 2 ? NUMPY.uint16 : NUMPY.uint32, count, data);
    if (!array) return NULL;
    Py_INCREF(owner);     /* which the call takes */
    if (((int (*)(PyObject *, PyObject *))NUMPY.api[282])(array, owner) < 0) {
        Py_DECREF(array);
        return NULL;
    }
    return array;
}

static inline void *array_data(PyObject *array) { return ((NumpyArray *)array)->data; }

static inline Py_ssize_t array_count(PyObject *array) { return ((NumpyArray *)array)->shape[0]; }

/* Bytes per item of a writable row of uint16 or uint32; 0 for anything else, subclasses included. */
static inline int array_kind(PyObject *array) {
    const NumpyArray *fields = (const NumpyArray *)array;
    if (!numpy_is_loaded() || Py_TYPE(array) != NUMPY.type) return 0;
    if (fields->dimensions != 1 || (fields->flags & NUMPY_PLAIN) != NUMPY_PLAIN) return 0;
    return fields->descr == NUMPY.uint32 ? 4 : fields->descr == NUMPY.uint16 ? 2 : 0;
}

#endif
