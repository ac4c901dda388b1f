// Compares messages with a pattern in all bytes that matter, and reads the numbers of those that match.
// Optional: alignment/template.py does the same with numpy, at five to ten times the cost.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

typedef struct {
  Py_ssize_t start, length, stride;  // bytes, numbers, bytes
  char kind;                         // of the numbers, as in Python's struct; little-endian
} Span;

typedef struct {
  PyObject_HEAD
  char *data, *mask;  // each of size bytes
  Py_ssize_t size;
  Span *spans;
  Py_ssize_t span_count, width;  // number of spans, and of all their numbers
} Pattern;

static int matches(const Pattern *self, PyObject *message)
{
  if (PyBytes_GET_SIZE(message) != self->size) {
    return 0;
  }
  const char *data = PyBytes_AS_STRING(message);
  uint64_t found = 0, a, b, m;
  Py_ssize_t at = 0;
  for (; at + 8 <= self->size; at += 8) {
    memcpy(&a, data + at, 8);
    memcpy(&b, self->data + at, 8);
    memcpy(&m, self->mask + at, 8);
    found |= (a ^ b) & m;
  }
  for (; at < self->size; at++) {
    found |= (uint64_t)((data[at] ^ self->data[at]) & self->mask[at]);
  }
  return found == 0;
}

#define READ_AS(type)                                          \
  for (Py_ssize_t n = 0; n < span->length; n++, at += span->stride) { \
    type number;                                               \
    memcpy(&number, at, sizeof number);                        \
    *row++ = (double)number;                                   \
  }                                                            \
  return row

static Py_ssize_t size_of(char kind)
{
  switch (kind) {
  case 'b': case 'B': return 1;
  case 'h': case 'H': return 2;
  case 'i': case 'I': case 'f': return 4;
  case 'q': case 'Q': case 'd': return 8;
  default: return 0;
  }
}

static double *read_span(const Span *span, const char *data, double *row)
{
  const char *at = data + span->start;
  switch (span->kind) {
  case 'b': READ_AS(int8_t);
  case 'B': READ_AS(uint8_t);
  case 'h': READ_AS(int16_t);
  case 'H': READ_AS(uint16_t);
  case 'i': READ_AS(int32_t);
  case 'I': READ_AS(uint32_t);
  case 'q': READ_AS(int64_t);
  case 'Q': READ_AS(uint64_t);
  case 'f': READ_AS(float);
  default:
    if (span->stride == sizeof(double)) {
      memcpy(row, at, (size_t)span->length * sizeof(double));
      return row + span->length;
    }
    READ_AS(double);
  }
}

// Returns the message at a place of the list, borrowed; NULL with an exception: there is none, or it is not bytes.
static PyObject *message_at(PyObject *messages, int64_t place)
{
  if (place < 0 || place >= PyList_GET_SIZE(messages)) {
    PyErr_SetString(PyExc_IndexError, "there are fewer messages");
    return NULL;
  }
  PyObject *message = PyList_GET_ITEM(messages, place);
  if (!PyBytes_CheckExact(message)) {
    PyErr_SetString(PyExc_TypeError, "messages must be bytes");
    return NULL;
  }
  return message;
}

static PyObject *pattern_alike(Pattern *self, PyObject *messages)
{
  if (!PyList_CheckExact(messages)) {
    PyErr_SetString(PyExc_TypeError, "messages must be a list");
    return NULL;
  }
  for (Py_ssize_t n = 0; n < PyList_GET_SIZE(messages); n++) {
    PyObject *message = message_at(messages, n);
    if (message == NULL) {
      return NULL;
    }
    if (!matches(self, message)) {
      Py_RETURN_FALSE;
    }
  }
  Py_RETURN_TRUE;
}

// Reads the chosen messages (places == NULL: the first count) into rows; returns 1 per message that matched.
static PyObject *read_rows(const Pattern *self, PyObject *messages, const int64_t *places, Py_ssize_t count, double *row)
{
  PyObject *fits = PyBytes_FromStringAndSize(NULL, count);
  if (fits == NULL) {
    return NULL;
  }
  for (Py_ssize_t n = 0; n < count; n++) {
    PyObject *message = message_at(messages, places == NULL ? n : places[n]);
    if (message == NULL) {
      Py_DECREF(fits);
      return NULL;
    }
    int fit = matches(self, message);
    PyBytes_AS_STRING(fits)[n] = (char)fit;
    for (Py_ssize_t s = 0; fit && s < self->span_count; s++) {
      row = read_span(&self->spans[s], PyBytes_AS_STRING(message), row);
    }
  }
  return fits;
}

static PyObject *pattern_read(Pattern *self, PyObject *const *given, Py_ssize_t count)
{
  if (count != 3 || !PyList_CheckExact(given[0])) {
    PyErr_SetString(PyExc_TypeError, "read(messages: list, places: int64[n] or None, rows: float64[n, k])");
    return NULL;
  }
  Py_buffer places = {.buf = NULL, .len = PyList_GET_SIZE(given[0]) * 8, .itemsize = 8}, rows;
  if (given[1] != Py_None && PyObject_GetBuffer(given[1], &places, PyBUF_C_CONTIGUOUS) < 0) {
    return NULL;
  }
  PyObject *fits = NULL;
  if (PyObject_GetBuffer(given[2], &rows, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) == 0) {
    Py_ssize_t number = places.len / 8;
    if (places.itemsize != 8 || rows.itemsize != sizeof(double)
        || (self->width && rows.len / (Py_ssize_t)sizeof(double) / self->width < number)) {
      PyErr_SetString(PyExc_ValueError, "places must be int64[n] and rows float64[n, numbers of the pattern]");
    } else {
      fits = read_rows(self, given[0], places.buf, number, rows.buf);
    }
    PyBuffer_Release(&rows);
  }
  if (given[1] != Py_None) {
    PyBuffer_Release(&places);
  }
  return fits;
}

// Takes the spans from tuples (start, length, stride, kind); returns -1 with an exception if one lies outside.
static int take_spans(Pattern *self, PyObject *spans)
{
  self->span_count = PyTuple_GET_SIZE(spans);
  self->spans = PyMem_Calloc((size_t)self->span_count + 1, sizeof(Span));
  if (self->spans == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (Py_ssize_t n = 0; n < self->span_count; n++) {
    Span *span = &self->spans[n];
    int kind;
    if (!PyTuple_Check(PyTuple_GET_ITEM(spans, n))) {
      PyErr_SetString(PyExc_TypeError, "spans must be tuples");
      return -1;
    }
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(spans, n), "nnnC", &span->start, &span->length, &span->stride, &kind)) {
      return -1;
    }
    span->kind = (char)kind;
    Py_ssize_t size = kind < 128 ? size_of(span->kind) : 0;
    int good = size && span->start >= 0 && span->length >= 0 && span->stride > 0 && span->start <= self->size
      && (span->length == 0
          || (span->start + size <= self->size
              && (span->length == 1 || span->stride <= (self->size - size - span->start) / (span->length - 1))));
    if (!good) {
      PyErr_SetString(PyExc_ValueError, "a span lies outside of the pattern, or is of an unknown kind");
      return -1;
    }
    self->width += span->length;
  }
  return 0;
}

static void pattern_dealloc(Pattern *self)
{
  PyMem_Free(self->data);
  PyMem_Free(self->mask);
  PyMem_Free(self->spans);
  Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *pattern_new(PyTypeObject *type, PyObject *given, PyObject *keywords)
{
  static char *names[] = {"data", "mask", "spans", NULL};
  PyObject *data, *mask, *spans;
  if (!PyArg_ParseTupleAndKeywords(given, keywords, "SSO!", names, &data, &mask, &PyTuple_Type, &spans)) {
    return NULL;
  }
  if (PyBytes_GET_SIZE(data) != PyBytes_GET_SIZE(mask)) {
    PyErr_SetString(PyExc_ValueError, "data and mask must have the same size");
    return NULL;
  }
  Pattern *self = (Pattern *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->size = PyBytes_GET_SIZE(data);
  self->data = PyMem_Malloc((size_t)self->size + 1);
  self->mask = PyMem_Malloc((size_t)self->size + 1);
  if (self->data == NULL || self->mask == NULL) {
    PyErr_NoMemory();
    Py_DECREF(self);
    return NULL;
  }
  memcpy(self->data, PyBytes_AS_STRING(data), (size_t)self->size);
  memcpy(self->mask, PyBytes_AS_STRING(mask), (size_t)self->size);
  if (take_spans(self, spans) < 0) {
    Py_DECREF(self);
    return NULL;
  }
  return (PyObject *)self;
}

static PyMethodDef pattern_methods[] = {
  {"alike", (PyCFunction)pattern_alike, METH_O,
   "alike(messages: list) -> whether all messages equal the pattern wherever the mask is 255."},
  {"read", (PyCFunction)(void (*)(void))pattern_read, METH_FASTCALL,
   "read(messages: list, places: int64[n] or None, rows: float64[n, k]) -> bytes[n], 1 where a message matches.\n"
   "The numbers of the messages that match are written to rows, one after the other."},
  {NULL, NULL, 0, NULL}};

static PyTypeObject PatternType = {
  PyVarObject_HEAD_INIT(NULL, 0)
  .tp_name = "robot_recorder.alignment._template.Pattern",
  .tp_basicsize = sizeof(Pattern),
  .tp_flags = Py_TPFLAGS_DEFAULT,
  .tp_doc = "Pattern(data: bytes, mask: bytes, spans): compares messages, and reads their numbers.",
  .tp_new = pattern_new,
  .tp_dealloc = (destructor)pattern_dealloc,
  .tp_methods = pattern_methods,
};

static PyModuleDef module = {
  PyModuleDef_HEAD_INIT, .m_name = "_template", .m_doc = "Reads messages of one layout.", .m_size = -1};

PyMODINIT_FUNC PyInit__template(void)
{
  PyObject *made = PyModule_Create(&module);
  if (made == NULL || PyModule_AddType(made, &PatternType) < 0) {
    Py_XDECREF(made);
    return NULL;
  }
  return made;
}
