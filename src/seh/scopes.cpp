// __C_specific_handler: the language handler of functions with __try. Its table has a row for each __try,
// inner ones first: the code it covers, and either a filter with its __except block, or a __finally.
//
// While an exception is being searched a handler for, filters are asked; the first that says
// EXCEPTION_EXECUTE_HANDLER has everything up to its frame unwound. While frames are unwound, __finally
// blocks run. ScopeIndex is moved on before each, so that one that does not come back (it raised, or left by
// goto) is not entered again when its frame is met a second time.
#include "seh/scopes.hpp"

#include <optional>

#include "abi/exception.hpp"
#include "seh/guest_memory.hpp"
#include "thread/scope.hpp"

namespace bobbin::seh {
namespace {

using arch::ScopeAction;
using arch::ScopeCall;

/// More rows than that no function has: a table that says so is none.
constexpr std::uint32_t kMostScopes = 1 << 16;

enum Phase : std::uint32_t { kBegin, kFiltered, kFinished };

class Scopes {
 public:
  explicit Scopes(ScopeCall& call)
      : call_(call),
        dispatcher_(*call.dispatcher),
        table_(reinterpret_cast<std::uint64_t>(call.dispatcher->HandlerData)) {
    if (!guest_read(table_, count_) || count_ > kMostScopes) count_ = 0;
  }

  ScopeAction step() {
    if (call_.phase == kBegin) call_.index = dispatcher_.ScopeIndex;
    return (call_.record->ExceptionFlags & abi::EXCEPTION_UNWIND) != 0 ? unwind() : search();
  }

 private:
  [[nodiscard]] std::optional<abi::SCOPE_RECORD> at(std::uint32_t index) const {
    abi::SCOPE_RECORD scope;
    if (!guest_read(table_ + 4 + std::uint64_t{sizeof scope} * index, scope)) return std::nullopt;
    return scope;
  }
  [[nodiscard]] static bool covers(const abi::SCOPE_RECORD& scope, std::uint64_t rva) {
    return rva >= scope.BeginAddress && rva < scope.EndAddress;
  }

  ScopeAction answer(std::uint32_t disposition) {
    call_.result = disposition;
    return ScopeAction::answer;
  }

  ScopeAction search() {
    if (call_.phase == kFiltered) {
      const auto verdict = static_cast<std::int32_t>(call_.result);
      if (verdict < 0) return answer(abi::ExceptionContinueExecution);
      if (verdict > 0) return handle();
      ++call_.index;
    }
    const std::uint64_t pc = dispatcher_.ControlPc - dispatcher_.ImageBase;
    for (; call_.index < count_; ++call_.index) {
      const auto scope = at(call_.index);
      if (!scope) break;
      if (!covers(*scope, pc) || scope->JumpTarget == 0) continue;
      constexpr std::uint32_t kExecuteHandler = 1;
      if (scope->HandlerAddress == kExecuteHandler) return handle();
      call_.phase = kFiltered;
      call_.pointers = {call_.record, call_.context};
      call_.function = dispatcher_.ImageBase + scope->HandlerAddress;
      call_.arguments[0] = reinterpret_cast<std::uint64_t>(&call_.pointers);
      call_.arguments[1] = call_.frame;
      return ScopeAction::call;
    }
    return answer(abi::ExceptionContinueSearch);
  }

  /// The __except block of the scope at index is to run.
  ScopeAction handle() {
    const auto scope = at(call_.index);
    if (!scope) return answer(abi::ExceptionContinueSearch);
    call_.function = dispatcher_.ImageBase + scope->JumpTarget;
    call_.arguments[0] = call_.record->ExceptionCode;
    return ScopeAction::unwind;
  }

  ScopeAction unwind() {
    const std::uint64_t pc = dispatcher_.ControlPc - dispatcher_.ImageBase;
    const std::uint64_t target = dispatcher_.TargetIp - dispatcher_.ImageBase;
    const bool at_target = (call_.record->ExceptionFlags & abi::EXCEPTION_TARGET_UNWIND) != 0;
    for (; call_.index < count_; ++call_.index) {
      const auto scope = at(call_.index);
      if (!scope) break;
      if (!covers(*scope, pc)) continue;
      // Execution goes on in this frame: scopes that hold that place as well are not left.
      if (at_target && (scope->JumpTarget == target || still_inside(*scope, target))) break;
      if (scope->JumpTarget != 0) continue;
      dispatcher_.ScopeIndex = ++call_.index;
      call_.phase = kFinished;
      call_.function = dispatcher_.ImageBase + scope->HandlerAddress;
      call_.arguments[0] = 1;  // AbnormalTermination()
      call_.arguments[1] = call_.frame;
      return ScopeAction::call;
    }
    return answer(abi::ExceptionContinueSearch);
  }

  /// Whether a scope with the same handler covers `target`: compilers may write one __try as several.
  [[nodiscard]] bool still_inside(const abi::SCOPE_RECORD& scope, std::uint64_t target) const {
    for (std::uint32_t i = 0; i < count_; ++i) {
      const auto other = at(i);
      if (!other) return false;
      if (covers(*other, target) && other->JumpTarget == scope.JumpTarget &&
          other->HandlerAddress == scope.HandlerAddress)
        return true;
    }
    return false;
  }

  ScopeCall& call_;
  abi::DISPATCHER_CONTEXT& dispatcher_;
  const std::uint64_t table_;
  std::uint32_t count_ = 0;
};

}  // namespace

ScopeAction step_scopes(ScopeCall* call) {
  const thread::NativeScope scope(call->dispatcher->ControlPc, call->frame);
  return Scopes(*call).step();
}

}  // namespace bobbin::seh
