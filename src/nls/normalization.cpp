#include "nls/normalization.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "nls/utf.hpp"

namespace bobbin::nls {
namespace {

std::u16string normalized(std::u16string_view text, utf8proc_option_t form) {
  const std::string utf8 = to_utf8(text);
  utf8proc_uint8_t* out = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                 static_cast<utf8proc_ssize_t>(utf8.size()), &out, form);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(out, &std::free);
  if (size < 0) throw std::bad_alloc();  // the only way to fail: what we pass is well-formed
  return to_utf16({reinterpret_cast<const char*>(out), static_cast<std::size_t>(size)});
}

}  // namespace

std::u16string compose(std::u16string_view text) {
  return normalized(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
}

std::u16string decompose(std::u16string_view text) {
  return normalized(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
}

}  // namespace bobbin::nls
