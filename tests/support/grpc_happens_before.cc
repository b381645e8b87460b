// Tells ThreadSanitizer what gRPC promises. Debian's gRPC is not instrumented and hands work
// between its threads with atomics, which ThreadSanitizer does not see there; the templates of its
// headers are compiled into ours, which it does see. Compiled into a test's program, these
// definitions come before the library's own, call them, and add the two orders that <grpc/grpc.h>
// documents. What two handlers, or a handler and a caller, do to each other has no order by them:
// rpc_planted_race shows that it is still reported.
//   - What happened before a batch was started happens before its tag is returned.
//   - What happened before a server was started happens before any tag that is returned later.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <sanitizer/tsan_interface.h>

namespace {

// Its address stands for "a server was started".
char server_started;

template <typename Function>
Function* NextDefinition(Function* /*own*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

grpc_event AfterEvent(const grpc_event& event) {
  __tsan_acquire(&server_started);
  if (event.type == GRPC_OP_COMPLETE && event.tag != nullptr) __tsan_acquire(event.tag);
  return event;
}

}  // namespace

extern "C" {

// A server's thread makes the object for the next call, another takes it. What is written meanwhile
// in this constructor, which calls nothing, has no function of <grpc/grpc.h> after it.
const char* __tsan_default_suppressions() {
  return "race:^grpc::internal::InterceptorBatchMethodsImpl::InterceptorBatchMethodsImpl\n";
}

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t nops, void* tag,
                                      void* reserved) {
  static auto* const next = NextDefinition(&grpc_call_start_batch, "grpc_call_start_batch");
  if (tag != nullptr) __tsan_release(tag);
  return next(call, ops, nops, tag, reserved);
}

void grpc_server_start(grpc_server* server) {
  static auto* const next = NextDefinition(&grpc_server_start, "grpc_server_start");
  __tsan_release(&server_started);
  next(server);
}

// grpc::internal::ServerCallbackCall::ScheduleOnDone(bool inline_ondone). Otherwise the library
// hands the end of a call to a thread of its executor by atomics that are not seen. gRPC itself
// ends calls on the spot where a reactor allows it; what handlers do to each other has no order by
// it either.
void _ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb(void* call, bool /*inline_ondone*/) {
  constexpr const char* kName = "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb";
  static auto* const next =
      NextDefinition(&_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb, kName);
  next(call, true);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const next =
      NextDefinition(&grpc_completion_queue_next, "grpc_completion_queue_next");
  return AfterEvent(next(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const next =
      NextDefinition(&grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  return AfterEvent(next(queue, tag, deadline, reserved));
}

}  // extern "C"
