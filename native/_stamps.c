// Reads the timestamps of message headers. Optional: messages/cdr.py does the same with numpy, at ten times the cost.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

static uint32_t number_at(const unsigned char *at, int little)
{
  return little ? at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24
                : at[3] | (uint32_t)at[2] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[0] << 24;
}

static PyObject *header_stamps(PyObject *module, PyObject *messages)
{
  (void)module;
  if (!PyList_CheckExact(messages)) {
    PyErr_SetString(PyExc_TypeError, "messages must be a list");
    return NULL;
  }
  Py_ssize_t count = PyList_GET_SIZE(messages);
  PyObject *found = PyByteArray_FromStringAndSize(NULL, count * 8);
  if (found == NULL) {
    return NULL;
  }
  int64_t *stamps = (int64_t *)PyByteArray_AS_STRING(found);
  for (Py_ssize_t n = 0; n < count; n++) {
    PyObject *message = PyList_GET_ITEM(messages, n);
    if (!PyBytes_CheckExact(message)) {
      Py_DECREF(found);
      PyErr_SetString(PyExc_TypeError, "messages must be bytes");
      return NULL;
    }
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(message);
    if (PyBytes_GET_SIZE(message) < 12) {
      stamps[n] = 0;
      continue;
    }
    int little = data[1] & 1;  // as in the encapsulation header
    stamps[n] = (int64_t)(int32_t)number_at(data + 4, little) * INT64_C(1000000000) + number_at(data + 8, little);
  }
  return found;
}

static PyMethodDef methods[] = {
  {"header_stamps", header_stamps, METH_O,
   "header_stamps(messages: list of bytes) -> int64[n], ns; 0 for messages of fewer than 12 bytes."},
  {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_stamps", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__stamps(void)
{
  return PyModule_Create(&module);
}
