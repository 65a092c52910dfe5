"""The numbers of splitters whose rules are data."""

cdef const Given *GIVEN[MAX_GIVEN]
cdef pthread_mutex_t GIVEN_LOCK
pthread_mutex_init(&GIVEN_LOCK, NULL)


cdef const Given *given_of(int number) noexcept nogil:
    return GIVEN[number - FIRST_GIVEN]


cdef class GivenSplitter:
    """The base of splitters that take the place of a number of PATTERNS."""

    def __cinit__(self):
        self.number = -1

    cdef int enter(
        self, const void *rules, void (*begin)(Split *self) noexcept nogil,
        size_t (*next)(Split *self, size_t *ends, size_t capacity) noexcept nogil
    ) except -1:
        cdef int free_one = 0
        self.given = Given(rules, begin, next)
        pthread_mutex_lock(&GIVEN_LOCK)
        while free_one < MAX_GIVEN and GIVEN[free_one] != NULL:
            free_one += 1
        if free_one < MAX_GIVEN:
            GIVEN[free_one] = &self.given
            self.number = FIRST_GIVEN + free_one
        pthread_mutex_unlock(&GIVEN_LOCK)
        if self.number < 0:
            raise MemoryError(f"more than {MAX_GIVEN} patterns at a time")
        return 0

    def __dealloc__(self):
        if self.number >= 0:
            GIVEN[self.number - FIRST_GIVEN] = NULL
