// Telling a person what a file is when it is not what we load.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace bobbin::pe {

/// What the file is called and what to do with it instead.
struct Identity {
  std::string what;
  std::string advice;
};

/// Names a file that has no PE signature, by its first bytes.
[[nodiscard]] Identity identify(ByteView bytes);

/// "32-bit x86", "64-bit ARM (ARM64)", ...; the number in hexadecimal for a machine without a name here.
[[nodiscard]] std::string machine_name(std::uint16_t machine);

}  // namespace bobbin::pe
