// Samples by channel and as columns. Optional: model/samples.py does the same in Python, at three to ten times the cost.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

enum { CHANNEL, DATA, RECEIVED, SENT };  // fields of a Sample

// Returns a sample of the list, borrowed; NULL with an exception: it is none.
static PyObject *sample_at(PyObject *samples, Py_ssize_t place)
{
  PyObject *sample = PyList_GET_ITEM(samples, place);
  if (!PyTuple_Check(sample) || PyTuple_GET_SIZE(sample) <= SENT) {
    PyErr_SetString(PyExc_TypeError, "samples must be Samples");
    return NULL;
  }
  return sample;
}

static int is_list(PyObject *samples)
{
  if (!PyList_CheckExact(samples)) {
    PyErr_SetString(PyExc_TypeError, "samples must be a list");
    return 0;
  }
  return 1;
}

// Returns the list of a channel, borrowed; NULL with an exception.
static PyObject *list_of(PyObject *found, PyObject *channel)
{
  PyObject *mine = PyDict_GetItemWithError(found, channel);
  if (mine == NULL && !PyErr_Occurred() && (mine = PyList_New(0)) != NULL) {
    int failed = PyDict_SetItem(found, channel, mine);
    Py_DECREF(mine);  // the dictionary holds it
    mine = failed ? NULL : mine;
  }
  return mine;
}

static PyObject *by_channel(PyObject *module, PyObject *samples)
{
  (void)module;
  PyObject *found = is_list(samples) ? PyDict_New() : NULL;
  if (found == NULL) {
    return NULL;
  }
  PyObject *channel = NULL, *mine = NULL;  // of the sample before
  for (Py_ssize_t n = 0; n < PyList_GET_SIZE(samples); n++) {
    PyObject *sample = sample_at(samples, n);
    if (sample != NULL && PyTuple_GET_ITEM(sample, CHANNEL) != channel) {
      channel = PyTuple_GET_ITEM(sample, CHANNEL);
      mine = list_of(found, channel);
    }
    if (sample == NULL || mine == NULL || PyList_Append(mine, sample) < 0) {
      Py_DECREF(found);
      return NULL;
    }
  }
  return found;
}

// Returns a time; -1 with an exception. Nothing but an int: asking another object for its number would run Python.
static int64_t time_of(PyObject *sample, Py_ssize_t field)
{
  PyObject *time = PyTuple_GET_ITEM(sample, field);
  if (!PyLong_Check(time)) {
    PyErr_SetString(PyExc_TypeError, "times must be ints");
    return -1;
  }
  return PyLong_AsLongLong(time);
}

static PyObject *columns(PyObject *module, PyObject *samples)
{
  (void)module;
  if (!is_list(samples)) {
    return NULL;
  }
  Py_ssize_t count = PyList_GET_SIZE(samples);
  PyObject *messages = PyList_New(count);
  PyObject *received = PyByteArray_FromStringAndSize(NULL, count * 8), *sent = PyByteArray_FromStringAndSize(NULL, count * 8);
  if (messages != NULL && received != NULL && sent != NULL) {
    int64_t *receives = (int64_t *)PyByteArray_AS_STRING(received), *sends = (int64_t *)PyByteArray_AS_STRING(sent);
    for (Py_ssize_t n = 0; n < count && !PyErr_Occurred(); n++) {
      PyObject *sample = sample_at(samples, n);
      if (sample != NULL) {
        PyList_SET_ITEM(messages, n, Py_NewRef(PyTuple_GET_ITEM(sample, DATA)));
        receives[n] = time_of(sample, RECEIVED);
        sends[n] = PyErr_Occurred() ? 0 : time_of(sample, SENT);
      }
    }
  }
  if (PyErr_Occurred()) {
    Py_XDECREF(messages);
    Py_XDECREF(received);
    Py_XDECREF(sent);
    return NULL;
  }
  return Py_BuildValue("NNN", messages, received, sent);
}

static PyMethodDef methods[] = {
  {"by_channel", by_channel, METH_O, "by_channel(samples: list) -> dict of lists, in order of the first of each."},
  {"columns", columns, METH_O, "columns(samples: list) -> messages, and times of receipt and of sending as int64[n], ns."},
  {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_samples", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__samples(void)
{
  return PyModule_Create(&module);
}
