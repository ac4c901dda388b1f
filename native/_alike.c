// Compares messages with a pattern in all bytes that matter. Optional: alignment/template.py does the same with numpy.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

static int differs(const char *data, const char *pattern, const char *mask, Py_ssize_t size)
{
  uint64_t found = 0, a, b, m;
  Py_ssize_t at = 0;
  for (; at + 8 <= size; at += 8) {
    memcpy(&a, data + at, 8);
    memcpy(&b, pattern + at, 8);
    memcpy(&m, mask + at, 8);
    found |= (a ^ b) & m;
  }
  for (; at < size; at++) {
    found |= (uint64_t)((data[at] ^ pattern[at]) & mask[at]);
  }
  return found != 0;
}

static PyObject *alike(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
  (void)module;
  if (count != 3 || !PyList_CheckExact(given[0]) || !PyBytes_CheckExact(given[1]) || !PyBytes_CheckExact(given[2])
      || PyBytes_GET_SIZE(given[1]) != PyBytes_GET_SIZE(given[2])) {
    PyErr_SetString(PyExc_TypeError, "alike(messages: list of bytes, pattern: bytes, mask: bytes of the same size)");
    return NULL;
  }
  Py_ssize_t size = PyBytes_GET_SIZE(given[1]);
  const char *pattern = PyBytes_AS_STRING(given[1]), *mask = PyBytes_AS_STRING(given[2]);
  for (Py_ssize_t n = 0; n < PyList_GET_SIZE(given[0]); n++) {
    PyObject *message = PyList_GET_ITEM(given[0], n);
    if (!PyBytes_CheckExact(message)) {
      PyErr_SetString(PyExc_TypeError, "messages must be bytes");
      return NULL;
    }
    if (PyBytes_GET_SIZE(message) != size || differs(PyBytes_AS_STRING(message), pattern, mask, size)) {
      Py_RETURN_FALSE;
    }
  }
  Py_RETURN_TRUE;
}

static PyMethodDef methods[] = {
  {"alike", (PyCFunction)(void (*)(void))alike, METH_FASTCALL,
   "alike(messages, pattern, mask) -> whether all messages equal the pattern wherever the mask is 255."},
  {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_alike", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__alike(void)
{
  return PyModule_Create(&module);
}
