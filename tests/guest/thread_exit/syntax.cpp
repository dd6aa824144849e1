// <bobbin/thread_exit.hpp> is parsed for MSVC's target, where no header of a system is at hand.
#include <bobbin/thread_exit.hpp>

struct Object {
  int value = 0;
  ~Object() {}
};
bobbin::guest::thread_local_ptr<Object> object;

int use() {
  bobbin::guest::at_thread_exit([](void*) {}, nullptr);
  if (!object) object.reset(new Object);
  delete object.release();
  return object ? object->value + (*object).value : 0;
}
