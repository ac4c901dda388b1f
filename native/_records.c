// Writes MCAP's message records into a buffer. Optional: bags/mcap_file.py does the same in Python, at five times the cost.
//
// Source of the format: mcap.dev/spec, "Message (op=0x05)": the operation, the length of what follows, channel,
// sequence, log time, publish time, data; all little-endian.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

enum { CHANNEL, DATA, RECEIVED, SENT };  // fields of a Sample
enum { OPERATION = 5, HEAD_SIZE = 1 + 8, FIXED_SIZE = 2 + 4 + 8 + 8 };

static char *put(char *at, uint64_t number, int size)
{
  for (int n = 0; n < size; n++) {
    *at++ = (char)(number >> (8 * n));
  }
  return at;
}

// Returns the next number of a channel's messages, and counts it; -1 with an exception.
static int64_t next_number(PyObject *counts, PyObject *id)
{
  PyObject *count = PyDict_GetItemWithError(counts, id);
  if (count == NULL) {
    if (!PyErr_Occurred()) {
      PyErr_SetObject(PyExc_KeyError, id);
    }
    return -1;
  }
  int64_t number = PyLong_AsLongLong(count);
  if (number < 0 || number > UINT32_MAX) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_OverflowError, "too many messages of one channel");
    }
    return -1;
  }
  PyObject *next = PyLong_FromLongLong(number + 1);
  int failed = next == NULL || PyDict_SetItem(counts, id, next) < 0;
  Py_XDECREF(next);
  return failed ? -1 : number;
}

// Adds a message to the index, as the format has it: its time and its offset; returns -1 with an exception.
static int note(PyObject *index, PyObject *id, uint64_t received, Py_ssize_t offset)
{
  PyObject *entries = PyDict_GetItemWithError(index, id);
  if (entries == NULL) {
    entries = PyErr_Occurred() ? NULL : PyByteArray_FromStringAndSize(NULL, 0);
    int failed = entries == NULL || PyDict_SetItem(index, id, entries) < 0;
    Py_XDECREF(entries);  // the dictionary holds it
    if (failed) {
      return -1;
    }
  }
  if (!PyByteArray_CheckExact(entries)) {
    PyErr_SetString(PyExc_TypeError, "an index has bytearrays");
    return -1;
  }
  Py_ssize_t size = PyByteArray_GET_SIZE(entries);
  if (PyByteArray_Resize(entries, size + 16) < 0) {
    return -1;
  }
  put(put(PyByteArray_AS_STRING(entries) + size, received, 8), (uint64_t)offset, 8);
  return 0;
}

// Writes one record; returns its size, 0: it does not fit, -1: with an exception.
static Py_ssize_t put_record(
  PyObject *sample, PyObject *ids, PyObject *counts, PyObject *index, char *at, Py_ssize_t room, Py_ssize_t offset)
{
  if (!PyTuple_Check(sample) || PyTuple_GET_SIZE(sample) <= SENT || !PyBytes_Check(PyTuple_GET_ITEM(sample, DATA))) {
    PyErr_SetString(PyExc_TypeError, "samples must be Samples, with bytes");
    return -1;
  }
  PyObject *data = PyTuple_GET_ITEM(sample, DATA), *channel = PyTuple_GET_ITEM(sample, CHANNEL);
  Py_ssize_t length = PyBytes_GET_SIZE(data);
  if (length + HEAD_SIZE + FIXED_SIZE > room) {
    return 0;
  }
  PyObject *id = PyDict_GetItemWithError(ids, channel);
  if (id == NULL) {
    if (!PyErr_Occurred()) {
      PyErr_SetObject(PyExc_KeyError, channel);
    }
    return -1;
  }
  uint64_t received = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(sample, RECEIVED));
  uint64_t sent = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(sample, SENT));
  unsigned long number_of_channel = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLong(id);
  if (PyErr_Occurred()) {
    return -1;
  }
  if (number_of_channel > UINT16_MAX) {
    PyErr_SetString(PyExc_OverflowError, "a channel's id has two bytes");
    return -1;
  }
  int64_t number = next_number(counts, id);
  if (number < 0 || note(index, id, received, offset) < 0) {
    return -1;
  }
  at = put(put(at, OPERATION, 1), (uint64_t)(FIXED_SIZE + length), 8);
  at = put(put(at, number_of_channel, 2), (uint64_t)number, 4);
  at = put(put(at, received, 8), sent, 8);
  memcpy(at, PyBytes_AS_STRING(data), (size_t)length);
  return HEAD_SIZE + FIXED_SIZE + length;
}

static PyObject *put_messages(PyObject *module, PyObject *given)
{
  (void)module;
  PyObject *samples, *ids, *counts, *index;
  Py_ssize_t next, at, limit, first;
  Py_buffer buffer;
  if (!PyArg_ParseTuple(given, "O!nO!O!O!w*nnn", &PyList_Type, &samples, &next, &PyDict_Type, &ids, &PyDict_Type, &counts,
                        &PyDict_Type, &index, &buffer, &at, &limit, &first)) {
    return NULL;
  }
  Py_ssize_t size = 1;
  if (next < 0 || at < 0 || first < 0 || limit < 0 || limit > buffer.len) {
    PyErr_SetString(PyExc_IndexError, "the place lies outside of the buffer");
    size = -1;
  }
  while (size > 0 && next < PyList_GET_SIZE(samples)) {
    size = put_record(
      PyList_GET_ITEM(samples, next), ids, counts, index, (char *)buffer.buf + at, limit - at, at - first);
    next += size > 0;
    at += size > 0 ? size : 0;
  }
  PyBuffer_Release(&buffer);
  return size < 0 ? NULL : Py_BuildValue("nn", next, at);
}

static PyMethodDef methods[] = {
  {"put_messages", put_messages, METH_VARARGS,
   "put_messages(samples, next, ids, counts, index, buffer, at, limit, first) -> (next, at); see mcap_file.put_messages."},
  {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_records", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__records(void)
{
  return PyModule_Create(&module);
}
