#include "seh/dispatch.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "abi/status.hpp"
#include "abi/teb.hpp"
#include "seh/guest_memory.hpp"
#include "seh/handlers.hpp"
#include "seh/report.hpp"
#include "seh/scopes.hpp"
#include "thread/scope.hpp"

namespace bobbin::seh {
namespace {

using namespace abi;
using arch::ExceptionAction;
using arch::ExceptionCall;
using arch::ExceptionEntry;
using arch::ExceptionFrame;

/// What the guest function that was called last is, and so what its result means.
enum class Asked : std::uint32_t {
  nobody,           ///< the first step
  vectored,         ///< a vectored handler
  search,           ///< nobody: room for the walk was asked for
  language,         ///< a frame's handler, searching
  list,             ///< an entry of TEB.ExceptionList, searching
  continued,        ///< a continue handler
  filter,           ///< the top-level filter
  unhandled,        ///< a continue handler, of an exception that nobody handles
  unwind_language,  ///< a frame's handler, unwinding
  unwind_list,      ///< an entry of TEB.ExceptionList, unwinding
  consolidated,     ///< what STATUS_UNWIND_CONSOLIDATE asks for: it says where to go on
};

/// What steps remember, below the ExceptionFrame.
struct State : ExceptionCall {
  Asked asked;
  std::uint32_t frames;  ///< walked; bounds the walk
  EXCEPTION_RECORD* record;
  EXCEPTION_POINTERS pointers;
  std::int64_t vectored;  ///< position in the list of handlers
  std::uint64_t nested;   ///< frame whose handler raised, while the walk is below it
  std::uint64_t target_frame, target_ip, return_value;
  std::uint64_t list;        ///< next entry of TEB.ExceptionList
  std::uint32_t* swallowed;  ///< unwinding to a gate: where the code goes
  DISPATCHER_CONTEXT dispatcher;
};
static_assert(sizeof(State) <= arch::kExceptionStateSize);

/// Room for walking frames while an exception is dispatched.
struct Walk {
  CONTEXT context;
  EXCEPTION_RECORD second;  ///< raised by the dispatch itself
};
static_assert(sizeof(Walk) + 32 <= arch::kExceptionWalkSize);

constexpr std::uint32_t kMostFrames = 1 << 20;
constexpr std::uint64_t kEndOfList = ~std::uint64_t{0};

template <class T>
std::uint64_t word(T* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

/// What undoing a frame may change.
class Preserved {
 public:
  explicit Preserved(const CONTEXT& context) {
    std::memcpy(integers_, &context.Rax, sizeof integers_);
    std::memcpy(xmm6_to_15_, context.FltSave.XmmRegisters[6], sizeof xmm6_to_15_);
  }
  void restore(CONTEXT& context) const {
    std::memcpy(&context.Rax, integers_, sizeof integers_);
    std::memcpy(context.FltSave.XmmRegisters[6], xmm6_to_15_, sizeof xmm6_to_15_);
  }

 private:
  std::uint64_t integers_[17];
  std::uint8_t xmm6_to_15_[160];
};
static_assert(offsetof(CONTEXT, Rip) - offsetof(CONTEXT, Rax) == 16 * 8);

/// Without what stands behind them in a CONTEXT, which is as much again.
void copy_registers(CONTEXT& to, const CONTEXT& from) {
  std::memcpy(&to, &from, offsetof(CONTEXT, VectorRegister));
}

ExceptionFrame& frame_of(ExceptionCall& call) {
  return *reinterpret_cast<ExceptionFrame*>(reinterpret_cast<std::byte*>(&call) + arch::kExceptionStateSize);
}

class Dispatch {
 public:
  explicit Dispatch(State& state) : s_(state), frame_(frame_of(state)) {}

  ExceptionAction step() {
    const auto verdict = static_cast<LONG>(s_.result);
    const auto disposition = static_cast<DWORD>(s_.result);
    switch (s_.asked) {
      case Asked::nobody:
        return enter();
      case Asked::vectored:
        return verdict == EXCEPTION_CONTINUE_EXECUTION ? go_on() : ask_vectored();
      case Asked::search:
        return begin_search();
      case Asked::language:
      case Asked::list:
        return searched(disposition);
      case Asked::continued:
        return verdict == EXCEPTION_CONTINUE_EXECUTION ? resume() : ask_continued(Asked::continued);
      case Asked::filter:
        if (verdict == EXCEPTION_CONTINUE_EXECUTION) return continue_execution();
        return verdict == EXCEPTION_CONTINUE_SEARCH ? end_guest(true) : end_guest(false);
      case Asked::unhandled:
        return verdict == EXCEPTION_CONTINUE_EXECUTION ? resume() : ask_continued(Asked::unhandled);
      case Asked::unwind_language:
      case Asked::unwind_list:
        return unwound(disposition);
      case Asked::consolidated:
        frame_.context.Rip = s_.result;
        return resume();
    }
    return end_guest(true);
  }

 private:
  [[nodiscard]] Walk& walk() const { return *static_cast<Walk*>(s_.walk); }

  ExceptionAction call(Asked asked, const void* function, std::uint64_t a, std::uint64_t b = 0,
                       std::uint64_t c = 0, std::uint64_t d = 0) {
    s_.asked = asked;
    s_.function = const_cast<void*>(function);
    const std::array arguments{a, b, c, d};
    std::ranges::copy(arguments, s_.arguments);
    return ExceptionAction::call;
  }

  ExceptionAction resume() {
    CONTEXT& context = frame_.context;
    context.MxCsr &= 0xFFFF;  // a reserved bit would fault, here
    context.FltSave.MxCsr = context.MxCsr;
    s_.target = &context;
    return s_.entry == ExceptionEntry::fault && frame_.upper != ExceptionFrame::Upper::unknown
               ? ExceptionAction::resume_vectors
               : ExceptionAction::resume;
  }

  /// Back to whoever called us.
  ExceptionAction return_to_caller(std::uint64_t value) {
    frame_.context.Rax = value;
    return resume();
  }

  // ---- what was called ----------------------------------------------------------------------------------

  ExceptionAction enter() {
    const CONTEXT& caller = frame_.context;
    EXCEPTION_RECORD& record = frame_.record;
    s_.record = &record;
    switch (s_.entry) {
      case ExceptionEntry::raise: {
        const auto count = static_cast<DWORD>(caller.R8);
        record = {.ExceptionCode = static_cast<DWORD>(caller.Rcx) & ~0x10000000u,  // the bit is the system's
                  .ExceptionFlags = static_cast<DWORD>(caller.Rdx) & EXCEPTION_NONCONTINUABLE,
                  .ExceptionRecord = nullptr,
                  .ExceptionAddress = reinterpret_cast<PVOID>(caller.Rip),
                  .NumberParameters = 0,
                  .ExceptionInformation = {}};
        if (caller.R9 != 0) {
          record.NumberParameters = std::min(count, EXCEPTION_MAXIMUM_PARAMETERS);
          if (!guest_copy(record.ExceptionInformation, reinterpret_cast<const void*>(caller.R9),
                          8 * std::size_t{record.NumberParameters}))
            record = access_violation(caller.R9);
        }
        return begin();
      }
      case ExceptionEntry::raise_record:
        (void)change_record(caller.Rcx, [&](EXCEPTION_RECORD& given) {
          given.ExceptionAddress = reinterpret_cast<PVOID>(caller.Rip);
        });
        return begin();
      case ExceptionEntry::raise_context:
        return raise_context(caller.Rcx, caller.Rdx, static_cast<BOOLEAN>(caller.R8) != 0);
      case ExceptionEntry::fault:
        return begin();
      case ExceptionEntry::unwind:
        return begin_unwind(caller.Rcx, caller.Rdx, reinterpret_cast<EXCEPTION_RECORD*>(caller.R8),
                            caller.R9);
      case ExceptionEntry::restore: {
        s_.record = reinterpret_cast<EXCEPTION_RECORD*>(caller.Rdx);
        if (!read_record()) return record_is_gone();
        CONTEXT given;
        if (!guest_read(caller.Rcx, given)) return raise_at_call(access_violation(caller.Rcx));
        return restore_given(given, CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_FLOATING_POINT);
      }
      case ExceptionEntry::go_on: {
        s_.record = nullptr;
        CONTEXT given;
        if (!guest_read(caller.Rcx, given)) return return_to_caller(STATUS_ACCESS_VIOLATION);
        return restore_given(given, given.ContextFlags);
      }
      case ExceptionEntry::walk:
        return walk_stack();
    }
    return end_guest(true);
  }

  [[nodiscard]] EXCEPTION_RECORD access_violation(std::uint64_t address, bool write = false) const {
    EXCEPTION_RECORD record{};
    record.ExceptionCode = STATUS_ACCESS_VIOLATION;
    record.ExceptionAddress = reinterpret_cast<PVOID>(frame_.machine.rip);
    record.NumberParameters = 2;
    record.ExceptionInformation[0] = write ? 1 : 0;
    record.ExceptionInformation[1] = address;
    return record;
  }

  /// Changes a record of the guest's where it stands, as Windows does. What it is then is copied to ours; or,
  /// if it cannot be read or written, ours is the access violation: false.
  template <class Change>
  [[nodiscard]] bool change_record(std::uint64_t at, Change change) {
    EXCEPTION_RECORD& record = frame_.record;
    const bool read = guest_read(at, record);
    if (read) change(record);
    if (read && guest_copy(reinterpret_cast<void*>(at), &record, sizeof record)) return true;
    record = access_violation(at, read);
    return false;
  }

  /// Changes the flags of the record that frames are unwound with, which may be the guest's, and may be gone
  /// or protected since. What to do then; nothing otherwise.
  [[nodiscard]] std::optional<ExceptionAction> change_flags(DWORD set, DWORD clear = 0) {
    const auto at = word(&s_.record->ExceptionFlags);
    DWORD flags = 0;
    const bool read = guest_read(at, flags);
    flags = (flags & ~clear) | set;
    if (read && guest_copy(reinterpret_cast<void*>(at), &flags, sizeof flags)) return std::nullopt;
    return raise_at_call(access_violation(at, read));
  }

  /// The record that frames are unwound with, as it is now; nothing if it is not there (any more).
  [[nodiscard]] std::optional<EXCEPTION_RECORD> read_record() const {
    EXCEPTION_RECORD record{};
    if (s_.record != nullptr && !guest_read(word(s_.record), record)) return std::nullopt;
    return record;
  }
  ExceptionAction record_is_gone() { return raise_at_call(access_violation(word(s_.record))); }

  /// An unwind that cannot go on raises an exception where it was called: the frames that it has passed still
  /// stand.
  ExceptionAction raise_at_call(const EXCEPTION_RECORD& record) {
    frame_.record = record;
    s_.record = &frame_.record;
    frame_.undo(frame_.context);
    return begin();
  }

  /// NtRaiseException: as if the exception came from where the context says.
  ExceptionAction raise_context(std::uint64_t record, std::uint64_t context, bool first_chance) {
    CONTEXT given;
    if (!guest_read(record, frame_.record) || !guest_read(context, given))
      return return_to_caller(STATUS_ACCESS_VIOLATION);
    frame_.unwind_to(given);
    frame_.context = given;
    if (first_chance) return begin();
    s_.pointers = {&frame_.record, &frame_.context};
    return end_guest(true);
  }

  /// RtlCaptureStackBackTrace(skip, count, trace, hash).
  ExceptionAction walk_stack() {
    CONTEXT context = frame_.context;
    const auto skip = static_cast<ULONG>(context.Rcx), count = static_cast<ULONG>(context.Rdx) & 0xFFFF;
    const std::uint64_t trace = context.R8, hash = context.R9;
    ULONG written = 0, sum = 0;
    for (ULONG i = 0; written < count && i < kMostFrames; ++i) {
      if (i >= skip) {
        if (const std::uint64_t at = trace + 8 * std::uint64_t{written};
            !guest_copy(reinterpret_cast<void*>(at), &context.Rip, 8))
          return raise_at_call(access_violation(at, true));
        sum += static_cast<ULONG>(context.Rip);
        ++written;
      }
      if (!undo(context)) break;
    }
    if (hash != 0 && !guest_copy(reinterpret_cast<void*>(hash), &sum, sizeof sum))
      return raise_at_call(access_violation(hash, true));
    return return_to_caller(written);
  }

  /// One frame up, if there is one.
  static bool undo(CONTEXT& context) {
    if (!in_stack(context.Rsp)) return false;
    const std::uint64_t before = context.Rsp;
    const Located at = locate(context.Rip);
    return at.kind != Located::outermost && undo_frame(at, context, 0) && context.Rsp > before &&
           locate(context.Rip).kind != Located::outermost;
  }

  // ---- exceptions: vectored handlers --------------------------------------------------------------------

  ExceptionAction begin() {
    s_.pointers = {s_.record, &frame_.context};
    s_.vectored = HandlerList::kFirst;
    return ask_vectored();
  }

  ExceptionAction ask_vectored() {
    if (const GuestHandler handler = exception_handlers().next(s_.vectored); handler != nullptr)
      return call(Asked::vectored, handler, word(&s_.pointers));
    if (s_.walk != nullptr) return begin_search();
    s_.asked = Asked::search;
    return ExceptionAction::extend;
  }

  ExceptionAction go_on() {
    s_.vectored = HandlerList::kFirst;
    return ask_continued(Asked::continued);
  }

  ExceptionAction ask_continued(Asked asked) {
    if (const GuestHandler handler = continue_handlers().next(s_.vectored); handler != nullptr)
      return call(asked, handler, word(&s_.pointers));
    return asked == Asked::continued ? resume() : end_guest(true);
  }

  /// The dispatch itself raises an exception about the one that it dispatches.
  ExceptionAction raise_second(std::uint32_t code) {
    if (s_.walk == nullptr || s_.record == &walk().second) {
      s_.record->ExceptionCode = code;
      return end_guest(true);
    }
    walk().second = {.ExceptionCode = code,
                     .ExceptionFlags = EXCEPTION_NONCONTINUABLE,
                     .ExceptionRecord = s_.record,
                     .ExceptionAddress = s_.record->ExceptionAddress,
                     .NumberParameters = 0,
                     .ExceptionInformation = {}};
    s_.record = &walk().second;
    return begin();
  }

  // ---- exceptions: the search for a frame ---------------------------------------------------------------

  ExceptionAction begin_search() {
    CONTEXT& context = walk().context;
    copy_registers(context, frame_.context);
    enter_guest(context);
    s_.frames = 0;
    s_.nested = 0;
    s_.dispatcher = {};
    s_.record->ExceptionFlags &= EXCEPTION_NONCONTINUABLE;
    s_.list = word(current_teb()->ExceptionList);
    return search();
  }

  /// Where the walk begins: a native may have trapped, or the Rip be 0.
  void enter_guest(CONTEXT& context) const {
    if (arch::is_exception_entry(context.Rip) || locate(context.Rip).kind == Located::outermost)
      frame_.undo(context);
  }

  ExceptionAction search() {
    CONTEXT& context = walk().context;
    for (; s_.frames < kMostFrames; ++s_.frames) {
      if (s_.list < context.Rsp && s_.frames != 0) {
        if (const std::uint64_t handler = list_handler(context.Rsp); handler != 0) {
          s_.dispatcher.EstablisherFrame = s_.list;
          return call(Asked::list, reinterpret_cast<void*>(handler), word(s_.record), s_.list,
                      word(&frame_.context), word(&s_.dispatcher));
        }
      }
      const Located at = locate(context.Rip);
      if (at.kind == Located::outermost) return search_ended();
      if (!in_stack(context.Rsp)) return stack_is_invalid();
      if (at.kind == Located::exception) {
        if (!in_stack(context.Rbx)) return stack_is_invalid();
        const std::uint64_t other = context.Rbx;
        const auto inner = inside(other);
        if (!inner) return stack_is_invalid();
        if (inner->asked == Asked::unwind_language) {
          return take_over(*inner, other, context) ? ask_language() : stack_is_invalid();
        } else if (inner->asked == Asked::unwind_list) {
          if (!take_over(*inner, other, context)) return stack_is_invalid();
          continue;
        } else if (inner->asked == Asked::language || inner->asked == Asked::list) {
          nest(inner->dispatcher.EstablisherFrame);
        }
      }
      const std::uint64_t before = context.Rsp, pc = context.Rip;
      const auto frame = undo_frame(at, context, UNW_FLAG_EHANDLER);
      if (!frame || !in_stack(frame->establisher) || (context.Rsp <= before && !frame->interrupted))
        return stack_is_invalid();
      if (frame->handler == 0) continue;
      s_.dispatcher = {.ControlPc = pc,
                       .ImageBase = at.base,
                       .FunctionEntry = at.row,
                       .EstablisherFrame = frame->establisher,
                       .TargetIp = 0,
                       .ContextRecord = &context,
                       .LanguageHandler = reinterpret_cast<PVOID>(frame->handler),
                       .HandlerData = reinterpret_cast<PVOID>(frame->handler_data),
                       .HistoryTable = nullptr,
                       .ScopeIndex = 0,
                       .Fill0 = 0};
      return ask_language();
    }
    return stack_is_invalid();
  }

  ExceptionAction ask_language() {
    return call(Asked::language, s_.dispatcher.LanguageHandler, word(s_.record),
                s_.dispatcher.EstablisherFrame, word(&frame_.context), word(&s_.dispatcher));
  }

  /// The dispatch whose frame stands at `frame`, inside of which we are; nothing if there is none.
  static std::optional<State> inside(std::uint64_t frame) {
    State state;
    return guest_read(frame - arch::kExceptionStateSize, state) ? std::optional(state) : std::nullopt;
  }

  void nest(std::uint64_t frame) {
    s_.record->ExceptionFlags |= EXCEPTION_NESTED_CALL;
    s_.nested = std::max(s_.nested, frame);
  }

  /// Goes on where an unwind was whose handler has not come back; its frame stands at `frame`. False if it
  /// does not.
  [[nodiscard]] bool take_over(const State& interrupted, std::uint64_t frame, CONTEXT& context) {
    if (!guest_read(frame + offsetof(ExceptionFrame, context), context)) return false;
    const std::uint64_t target_ip = s_.dispatcher.TargetIp;
    s_.dispatcher = interrupted.dispatcher;
    s_.dispatcher.TargetIp = target_ip;
    context.Rip = interrupted.dispatcher.ControlPc;
    if (interrupted.asked == Asked::unwind_list) {
      s_.list = next_of_list(interrupted.dispatcher.EstablisherFrame);
    } else if (&context != &frame_.context) {
      const Located at = {Located::function, s_.dispatcher.FunctionEntry, s_.dispatcher.ImageBase};
      (void)undo_frame(at, context, 0);  // a search for a handler is one frame ahead
    }
    s_.dispatcher.ContextRecord = &context;
    return true;
  }

  ExceptionAction searched(DWORD disposition) {
    if (s_.dispatcher.EstablisherFrame == s_.nested) {
      s_.record->ExceptionFlags &= ~EXCEPTION_NESTED_CALL;
      s_.nested = 0;
    }
    const bool of_list = s_.asked == Asked::list;
    if (of_list) s_.list = next_of_list(s_.list);
    switch (disposition) {
      case ExceptionContinueExecution:
        return continue_execution();
      case ExceptionNestedException:
        nest(s_.dispatcher.EstablisherFrame);
        break;
      case ExceptionContinueSearch:
        break;
      default:
        return raise_second(STATUS_INVALID_DISPOSITION);
    }
    ++s_.frames;
    return search();
  }

  /// A frame's handler says so, or the top-level filter, which is the outermost frame's on Windows.
  ExceptionAction continue_execution() {
    if ((s_.record->ExceptionFlags & EXCEPTION_NONCONTINUABLE) != 0)
      return raise_second(STATUS_NONCONTINUABLE_EXCEPTION);
    return go_on();
  }

  ExceptionAction search_ended() {
    if (const arch::Gate* const gate = thread::current_place().gate;
        gate != nullptr && gate->swallowed != nullptr) {
      s_.swallowed = gate->swallowed;
      s_.record->ExceptionFlags |= EXCEPTION_UNWINDING;
      enter_guest(frame_.context);
      s_.frames = 0;
      s_.dispatcher = {};
      s_.list = word(current_teb()->ExceptionList);
      return unwind();
    }
    if (const GuestHandler filter = unhandled_filter().load(); filter != nullptr)
      return call(Asked::filter, filter, word(&s_.pointers));
    s_.vectored = HandlerList::kFirst;
    return ask_continued(Asked::unhandled);
  }

  ExceptionAction stack_is_invalid() {
    s_.record->ExceptionFlags |= EXCEPTION_STACK_INVALID;
    s_.vectored = HandlerList::kFirst;
    return ask_continued(Asked::unhandled);
  }

  /// Nobody handles it.
  ExceptionAction end_guest(bool told) {
    if (told) report_unhandled(*s_.record, frame_.context);
    host().terminate(s_.record->ExceptionCode);
    return resume();  // not reached: the end of the step leaves the gate
  }

  // ---- TEB.ExceptionList: Wine's CRTs put handlers there, and expect them to be asked like frames --------

  // Within a frame its entries stand in any order, so a list is followed while it stays below the frame's
  // end.

  /// The handler of the next entry that lies below `limit`, is Wine's and is not `last`; 0 if there is none.
  std::uint64_t list_handler(std::uint64_t limit, std::uint64_t last = 0) {
    EXCEPTION_REGISTRATION_RECORD entry;
    for (; s_.list < limit && s_.list != last && in_stack(s_.list) && guest_read(s_.list, entry);
         ++s_.frames) {
      const auto module = unwind::function_tables().module_at(word(entry.Handler));
      if (module && module->wine_builtin) return word(entry.Handler);
      if (s_.frames >= kMostFrames) return 0;
      s_.list = word(entry.Next);
    }
    return 0;
  }

  static std::uint64_t next_of_list(std::uint64_t at) {
    EXCEPTION_REGISTRATION_RECORD entry;
    return guest_read(at, entry) ? word(entry.Next) : kEndOfList;
  }

  // ---- unwinding ----------------------------------------------------------------------------------------

  ExceptionAction begin_unwind(std::uint64_t target_frame, std::uint64_t target_ip, EXCEPTION_RECORD* record,
                               std::uint64_t value) {
    const DWORD flags = EXCEPTION_UNWINDING | (target_frame == 0 ? EXCEPTION_EXIT_UNWIND : 0u);
    if (record != nullptr) {
      if (!change_record(word(record), [flags](EXCEPTION_RECORD& given) { given.ExceptionFlags |= flags; }))
        return begin();
      s_.record = record;
    } else {
      frame_.record = {.ExceptionCode = STATUS_UNWIND,
                       .ExceptionFlags = flags,
                       .ExceptionRecord = nullptr,
                       .ExceptionAddress = reinterpret_cast<PVOID>(frame_.context.Rip),
                       .NumberParameters = 0,
                       .ExceptionInformation = {}};
    }
    s_.pointers = {s_.record, &frame_.context};
    s_.target_frame = target_frame;
    s_.target_ip = target_ip;
    s_.return_value = value;
    s_.frames = 0;
    s_.dispatcher = {};
    s_.dispatcher.TargetIp = target_ip;
    s_.list = word(current_teb()->ExceptionList);
    return unwind();
  }

  ExceptionAction unwind() {
    CONTEXT& context = frame_.context;
    for (; s_.frames < kMostFrames; ++s_.frames) {
      const Located at = locate(context.Rip);
      if (at.kind == Located::outermost) return unwind_ended();
      if (!in_stack(context.Rsp)) return bad_unwind(STATUS_BAD_STACK);
      if (at.kind == Located::exception) {
        if (!in_stack(context.Rbx)) return bad_unwind(STATUS_BAD_STACK);
        const std::uint64_t other = context.Rbx;
        const auto inner = inside(other);
        if (!inner) return bad_unwind(STATUS_BAD_STACK);
        if (inner->asked == Asked::unwind_language) {
          if (!take_over(*inner, other, context)) return bad_unwind(STATUS_BAD_STACK);
          return ask_unwinding(EXCEPTION_COLLIDED_UNWIND);
        } else if (inner->asked == Asked::unwind_list) {
          if (!take_over(*inner, other, context)) return bad_unwind(STATUS_BAD_STACK);
          current_teb()->ExceptionList = reinterpret_cast<PVOID>(s_.list);
          continue;
        }
      }
      const Preserved own(context);
      const std::uint64_t stack = context.Rsp, pc = context.Rip;
      const auto frame = undo_frame(at, context, UNW_FLAG_UHANDLER);
      if (!frame || !in_stack(frame->establisher) || (context.Rsp <= stack && !frame->interrupted))
        return bad_unwind(STATUS_BAD_STACK);
      const std::uint64_t end = context.Rsp;
      const bool listed = s_.target_frame >= stack && s_.target_frame < end;
      if (s_.target_frame != 0 && s_.target_frame < frame->establisher && !listed)
        return bad_unwind(STATUS_INVALID_UNWIND_TARGET);
      if (frame->handler != 0) {
        own.restore(context);
        s_.dispatcher.ControlPc = pc;
        s_.dispatcher.ImageBase = at.base;
        s_.dispatcher.FunctionEntry = at.row;
        s_.dispatcher.EstablisherFrame = frame->establisher;
        s_.dispatcher.ContextRecord = &context;
        s_.dispatcher.LanguageHandler = reinterpret_cast<PVOID>(frame->handler);
        s_.dispatcher.HandlerData = reinterpret_cast<PVOID>(frame->handler_data);
        s_.dispatcher.ScopeIndex = 0;
        return ask_unwinding();
      }
      if (frame->establisher == s_.target_frame) {
        own.restore(context);
        return arrive();
      }
      if (const std::uint64_t handler = list_handler(end, s_.target_frame); handler != 0) {
        own.restore(context);
        s_.dispatcher.EstablisherFrame = s_.list;
        return call(Asked::unwind_list, reinterpret_cast<void*>(handler), word(s_.record), s_.list,
                    word(&context), word(&s_.dispatcher));
      }
      // The target may be an entry of the list, too: it lies inside the frame.
      if (listed && s_.list == s_.target_frame) {
        own.restore(context);
        return arrive();
      }
    }
    return bad_unwind(STATUS_BAD_STACK);
  }

  ExceptionAction ask_unwinding(DWORD flags = 0) {
    if (s_.dispatcher.EstablisherFrame == s_.target_frame) flags |= EXCEPTION_TARGET_UNWIND;
    if (const auto failed = change_flags(flags)) return *failed;
    frame_.context.Rax = s_.return_value;
    return call(Asked::unwind_language, s_.dispatcher.LanguageHandler, word(s_.record),
                s_.dispatcher.EstablisherFrame, word(&frame_.context), word(&s_.dispatcher));
  }

  ExceptionAction unwound(DWORD disposition) {
    if (disposition != ExceptionContinueSearch) return bad_unwind(STATUS_INVALID_DISPOSITION);
    if (s_.asked == Asked::unwind_list) {
      s_.list = next_of_list(s_.list);
      current_teb()->ExceptionList = reinterpret_cast<PVOID>(s_.list);
      ++s_.frames;
      return unwind();
    }
    if (const auto failed = change_flags(0, EXCEPTION_TARGET_UNWIND | EXCEPTION_COLLIDED_UNWIND))
      return *failed;
    if (s_.dispatcher.EstablisherFrame == s_.target_frame) return arrive();
    const Located at = {Located::function, s_.dispatcher.FunctionEntry, s_.dispatcher.ImageBase};
    if (!undo_frame(at, frame_.context, 0)) return bad_unwind(STATUS_BAD_STACK);
    ++s_.frames;
    return unwind();
  }

  ExceptionAction arrive() {
    const auto record = read_record();
    if (!record) return record_is_gone();
    frame_.context.Rax = s_.return_value;
    if (record->ExceptionCode != STATUS_UNWIND_CONSOLIDATE) frame_.context.Rip = s_.target_ip;
    return restore(*record);
  }

  ExceptionAction unwind_ended() {
    if (s_.swallowed != nullptr) {
      *s_.swallowed = s_.record->ExceptionCode != 0 ? s_.record->ExceptionCode : STATUS_UNSUCCESSFUL;
      s_.target = thread::current_place().gate;
      return ExceptionAction::leave;
    }
    return bad_unwind(STATUS_INVALID_UNWIND_TARGET);
  }

  ExceptionAction bad_unwind(std::uint32_t code) {
    const auto record = read_record();
    // A longjmp whose frame is not found goes where its buffer says all the same.
    if (record && is_long_jump(*record)) return restore(*record);
    if (s_.swallowed != nullptr) {  // it is ours already, and would be unwound again
      s_.record->ExceptionCode = code;
      return end_guest(true);
    }
    return raise_at_call({.ExceptionCode = code,
                          .ExceptionFlags = EXCEPTION_NONCONTINUABLE,
                          .ExceptionRecord = s_.record != &frame_.record ? s_.record : nullptr,
                          .ExceptionAddress = reinterpret_cast<PVOID>(frame_.machine.rip),
                          .NumberParameters = 0,
                          .ExceptionInformation = {}});
  }

  // ---- going on elsewhere -------------------------------------------------------------------------------

  static bool is_long_jump(const EXCEPTION_RECORD& record) {
    return record.ExceptionCode == STATUS_LONGJUMP && record.NumberParameters >= 1;
  }

  /// RtlRestoreContext, NtContinue: takes over those parts of a context that `flags` names.
  ExceptionAction restore_given(const CONTEXT& given, DWORD flags) {
    const auto wants = [flags](DWORD part) { return (flags & part) == part; };
    CONTEXT& context = frame_.context;
    if (wants(CONTEXT_CONTROL)) {
      context.Rip = given.Rip;
      context.Rsp = given.Rsp;
      context.EFlags = given.EFlags;
    }
    if (wants(CONTEXT_INTEGER)) {
      const std::uint64_t stack = context.Rsp;
      std::memcpy(&context.Rax, &given.Rax, offsetof(CONTEXT, Rip) - offsetof(CONTEXT, Rax));
      context.Rsp = stack;
    }
    if (wants(CONTEXT_FLOATING_POINT)) {
      context.MxCsr = given.MxCsr;
      context.FltSave = given.FltSave;
    }
    const auto record = read_record();
    return record ? restore(*record) : record_is_gone();
  }

  /// Goes on with frame_.context, or where the record says.
  ExceptionAction restore(const EXCEPTION_RECORD& record) {
    CONTEXT& context = frame_.context;
    if (is_long_jump(record)) {
      JUMP_BUFFER buffer;
      if (const std::uint64_t at = record.ExceptionInformation[0]; !guest_read(at, buffer))
        return raise_at_call(access_violation(at));
      context.Rbx = buffer.Rbx;
      context.Rsp = buffer.Rsp;
      context.Rbp = buffer.Rbp;
      context.Rsi = buffer.Rsi;
      context.Rdi = buffer.Rdi;
      context.R12 = buffer.R12;
      context.R13 = buffer.R13;
      context.R14 = buffer.R14;
      context.R15 = buffer.R15;
      context.Rip = buffer.Rip;
      context.MxCsr = buffer.MxCsr;
      context.FltSave.ControlWord = buffer.FpCsr;
      std::memcpy(context.FltSave.XmmRegisters[6], buffer.Xmm6ToXmm15, sizeof buffer.Xmm6ToXmm15);
      return resume();
    }
    if (record.ExceptionCode == STATUS_UNWIND_CONSOLIDATE && record.NumberParameters >= 1) {
      // The frames in between are gone, but what is on them is still used. From the function that is called
      // now, unwinding goes on at the frame that was unwound to.
      frame_.unwind_to(context);
      return call(Asked::consolidated, reinterpret_cast<void*>(record.ExceptionInformation[0]),
                  word(s_.record));
    }
    return resume();
  }

  State& s_;
  ExceptionFrame& frame_;
};

}  // namespace

ExceptionAction step_dispatch(ExceptionCall* call) {
  auto& state = *static_cast<State*>(call);
  const thread::Place& place = thread::current_place();
  ExceptionFrame::Machine at{.rip = place.guest_rip, .cs = 0, .eflags = 0, .rsp = place.guest_rsp, .ss = 0};
  (void)guest_read(word(&frame_of(state).machine), at);  // a handler may have taken the stack away
  const thread::NativeScope scope(at.rip, at.rsp);
  if (state.begun == 0) {
    const ExceptionEntry entry = state.entry;
    state = State{};
    state.entry = entry;
    state.begun = 1;
  }
  return Dispatch(state).step();
}

}  // namespace bobbin::seh
