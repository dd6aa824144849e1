// What is said of an exception that ends the guest.
#pragma once

#include <cstdint>
#include <string>

#include "abi/exception.hpp"

namespace bobbin::seh {

/// "access violation (0xC0000005) writing to 0x10": what it is, and what its parameters say.
[[nodiscard]] std::string describe_exception(const abi::EXCEPTION_RECORD& record);

/// Prints code, address, registers and frames to stderr.
void report_unhandled(const abi::EXCEPTION_RECORD& record, const abi::CONTEXT& context);

}  // namespace bobbin::seh
