#include "base/error.hpp"

#include <fmt/format.h>

namespace bobbin {

std::string Error::message() const {
  std::string text = file.empty() ? what : fmt::format("{}: {}", file, what);
  if (offset && rva) {
    text += fmt::format(" (file offset {:#x}, RVA {:#x})", *offset, *rva);
  } else if (offset) {
    text += fmt::format(" (file offset {:#x})", *offset);
  } else if (rva) {
    text += fmt::format(" (RVA {:#x})", *rva);
  }
  if (!advice.empty()) text += "; " + advice;
  return text;
}

}  // namespace bobbin
