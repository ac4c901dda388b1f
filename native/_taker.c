// Takes the messages of one subscription in batches, straight into Python's samples.
//
// The same as PythonTaker in robot_recorder/nodes/taker.py, at a third of its cost: rclpy makes a dictionary of
// every message's info, and copies its bytes once more. Optional: without it the Python class is used.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <rcl/error_handling.h>
#include <rcl/subscription.h>
#include <string.h>
#include <time.h>

#define GID_SIZE ((Py_ssize_t)sizeof(((rmw_gid_t *)0)->data))
#define FIRST_CAPACITY 4096

typedef struct {
  PyObject_HEAD
  const rcl_subscription_t *subscription;
  PyObject *owner;   // rclpy's handle: alive until somebody destroys the subscription, after which nobody may take
  PyObject *channel;
  PyTypeObject *sample;
  PyObject *spare;   // bytes that the next message is written into; NULL: none
  Py_ssize_t usual;  // size of the largest recent message, which spares are made for
} Taker;

// -- memory: the middleware writes into a bytes object, and may resize it

static void *bytes_reallocate(void *pointer, size_t size, void *state)
{
  (void)pointer;
  PyObject **bytes = state;
  if (_PyBytes_Resize(bytes, (Py_ssize_t)size) < 0) {
    return NULL;  // *bytes is NULL now, and an exception is set
  }
  return PyBytes_AS_STRING(*bytes);
}

static void *bytes_allocate(size_t size, void *state)
{
  return bytes_reallocate(NULL, size, state);
}

static void *bytes_zero_allocate(size_t number, size_t size, void *state)
{
  void *memory = bytes_reallocate(NULL, number * size, state);
  return memory ? memset(memory, 0, number * size) : NULL;
}

static void bytes_deallocate(void *pointer, void *state)
{
  (void)pointer;
  (void)state;
}

// Returns whether a message was taken: 1, 0: there is none, -1: with an exception set.
static int take_one(Taker *self, rmw_message_info_t *info, PyObject **data)
{
  if (self->spare == NULL) {
    self->spare = PyBytes_FromStringAndSize(NULL, self->usual);
    if (self->spare == NULL) {
      return -1;
    }
  }
  rcl_serialized_message_t message = rcutils_get_zero_initialized_uint8_array();
  message.buffer = (uint8_t *)PyBytes_AS_STRING(self->spare);
  message.buffer_capacity = (size_t)PyBytes_GET_SIZE(self->spare);
  message.allocator = (rcutils_allocator_t){
    bytes_allocate, bytes_deallocate, bytes_reallocate, bytes_zero_allocate, &self->spare};
  *info = rmw_get_zero_initialized_message_info();
  rcl_ret_t result = rcl_take_serialized_message(self->subscription, &message, info, NULL);
  if (result != RCL_RET_OK || self->spare == NULL) {
    if (result == RCL_RET_SUBSCRIPTION_TAKE_FAILED && !PyErr_Occurred()) {
      return 0;
    }
    if (!PyErr_Occurred()) {
      PyErr_Format(PyExc_RuntimeError, "a message cannot be taken: %s", rcl_get_error_string().str);
    }
    rcl_reset_error();
    return -1;
  }
  *data = self->spare;
  self->spare = NULL;
  Py_ssize_t length = (Py_ssize_t)message.buffer_length;
  if (length != PyBytes_GET_SIZE(*data) && _PyBytes_Resize(data, length) < 0) {
    return -1;
  }
  Py_ssize_t fading = self->usual - self->usual / 16;
  self->usual = length > fading ? length : fading;
  return 1;
}

// -- methods

static PyObject *odd_one(PyObject *data, int64_t received, int64_t sent, uint64_t number, const rmw_message_info_t *info)
{
  PyObject *numbered = number == RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED
    ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(number);
  PyObject *gid = PyBytes_FromStringAndSize((const char *)info->publisher_gid.data, GID_SIZE);
  if (numbered == NULL || gid == NULL) {
    Py_XDECREF(numbered);
    Py_XDECREF(gid);
    Py_DECREF(data);
    return NULL;
  }
  return Py_BuildValue("NLLNN", data, (long long)received, (long long)sent, numbered, gid);
}

static int append_sample(Taker *self, PyObject *samples, PyObject *data, int64_t received, int64_t sent, PyObject *publisher)
{
  PyObject *sample = self->sample->tp_alloc(self->sample, 5);
  if (sample == NULL) {
    Py_DECREF(data);
    return -1;
  }
#if PY_VERSION_HEX >= 0x030E0000
  ((PyTupleObject *)sample)->ob_hash = -1;  // not known yet; 0, as it is allocated, would be taken for it
#endif
  PyObject *when = PyLong_FromLongLong(received), *from = PyLong_FromLongLong(sent);
  PyTuple_SET_ITEM(sample, 0, Py_NewRef(self->channel));
  PyTuple_SET_ITEM(sample, 1, data);
  PyTuple_SET_ITEM(sample, 2, when);
  PyTuple_SET_ITEM(sample, 3, from);
  PyTuple_SET_ITEM(sample, 4, Py_NewRef(publisher));
  // No sample is part of a cycle, and looking for one in all that wait costs the garbage collector more than taking them.
  PyObject_GC_UnTrack(sample);
  int failed = when == NULL || from == NULL || PyList_Append(samples, sample) < 0;
  Py_DECREF(sample);
  return failed ? -1 : 0;
}

static PyObject *taker_take(Taker *self, PyObject *const *given, Py_ssize_t count)
{
  if (count != 5 || !PyList_CheckExact(given[0]) || !PyBytes_CheckExact(given[1])) {
    PyErr_SetString(PyExc_TypeError, "take(samples: list, publisher: bytes, expected, before_ns, now_ns)");
    return NULL;
  }
  PyObject *samples = given[0], *publisher = given[1];
  int numbered = given[2] != Py_None;
  uint64_t expected = numbered ? PyLong_AsUnsignedLongLong(given[2]) : RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED;
  int64_t before = PyLong_AsLongLong(given[3]), now = PyLong_AsLongLong(given[4]);
  if (PyErr_Occurred()) {
    return NULL;
  }
  int known = PyBytes_GET_SIZE(publisher) == GID_SIZE;
  PyObject *odd = NULL;
  while (odd == NULL) {
    rmw_message_info_t info;
    PyObject *data;
    int taken = take_one(self, &info, &data);
    if (taken < 0) {
      return NULL;
    }
    if (!taken) {
      odd = Py_NewRef(Py_None);
      break;
    }
    int64_t received = info.received_timestamp;
    if (received == 0) {  // some middlewares give no receive time: use the time of taking
      struct timespec clock;
      clock_gettime(CLOCK_REALTIME, &clock);
      received = clock.tv_sec * INT64_C(1000000000) + clock.tv_nsec;
    }
    uint64_t number = info.publication_sequence_number;
    if (!known || number != expected || memcmp(info.publisher_gid.data, PyBytes_AS_STRING(publisher), (size_t)GID_SIZE) != 0) {
      odd = odd_one(data, received, info.source_timestamp, number, &info);
      if (odd == NULL) {
        return NULL;
      }
      break;
    }
    if (received < before && before <= now) {
      received = before;
    }
    int64_t sent = info.source_timestamp > 0 ? info.source_timestamp : received;
    if (append_sample(self, samples, data, received, sent, publisher) < 0) {
      return NULL;
    }
    before = received;
    expected += numbered ? 1 : 0;
  }
  PyObject *next = numbered ? PyLong_FromUnsignedLongLong(expected) : Py_NewRef(Py_None);
  return Py_BuildValue("NNL", odd, next, (long long)before);
}

static PyObject *taker_new(PyTypeObject *type, PyObject *given, PyObject *keywords)
{
  static char *names[] = {"owner", "pointer", "channel", "sample", NULL};
  PyObject *owner, *pointer, *channel, *sample;
  if (!PyArg_ParseTupleAndKeywords(given, keywords, "OOOO!", names, &owner, &pointer, &channel, &PyType_Type, &sample)) {
    return NULL;
  }
  const rcl_subscription_t *subscription = PyLong_AsVoidPtr(pointer);
  if (PyErr_Occurred()) {
    return NULL;
  }
  if (!PyType_IsSubtype((PyTypeObject *)sample, &PyTuple_Type)) {
    PyErr_SetString(PyExc_TypeError, "sample must be a class of tuples");
    return NULL;
  }
  if (!rcl_subscription_is_valid(subscription)) {
    rcl_reset_error();
    PyErr_SetString(PyExc_ValueError, "the pointer is not that of a subscription");
    return NULL;
  }
  Taker *self = (Taker *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->subscription = subscription;
  self->owner = Py_NewRef(owner);
  self->channel = Py_NewRef(channel);
  self->sample = (PyTypeObject *)Py_NewRef(sample);
  self->spare = NULL;
  self->usual = FIRST_CAPACITY;
  return (PyObject *)self;
}

static void taker_dealloc(Taker *self)
{
  Py_XDECREF(self->owner);
  Py_XDECREF(self->channel);
  Py_XDECREF(self->sample);
  Py_XDECREF(self->spare);
  Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef taker_methods[] = {
  {"take", (PyCFunction)(void (*)(void))taker_take, METH_FASTCALL,
   "take(samples, publisher, expected, before_ns, now_ns) -> (odd, expected, before_ns); see PythonTaker."},
  {NULL, NULL, 0, NULL}};

static PyTypeObject TakerType = {
  PyVarObject_HEAD_INIT(NULL, 0)
  .tp_name = "robot_recorder.nodes._taker.Taker",
  .tp_basicsize = sizeof(Taker),
  .tp_flags = Py_TPFLAGS_DEFAULT,
  .tp_doc = "Taker(owner, pointer, channel, sample): takes the messages of one subscription.",
  .tp_new = taker_new,
  .tp_dealloc = (destructor)taker_dealloc,
  .tp_methods = taker_methods,
};

static PyModuleDef module = {
  PyModuleDef_HEAD_INIT, .m_name = "_taker", .m_doc = "Takes messages in batches.", .m_size = -1};

PyMODINIT_FUNC PyInit__taker(void)
{
  PyObject *made = PyModule_Create(&module);
  if (made == NULL || PyModule_AddType(made, &TakerType) < 0) {
    Py_XDECREF(made);
    return NULL;
  }
  return made;
}
