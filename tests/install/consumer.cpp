// What somebody writes who has installed Bobbin: tests/install_test.py compiles it against the installed
// files only.
#include <bobbin/error.hpp>
#include <cstdio>

int main() {
  const bobbin::Error error{.what = "no such thing", .file = "a.dll"};
  std::puts(error.message().starts_with("a.dll: no such thing") ? "consumer: ok" : error.message().c_str());
}
