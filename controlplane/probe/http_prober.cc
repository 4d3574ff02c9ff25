#include "controlplane/probe/http_prober.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "controlplane/model/text.h"
#include "controlplane/probe/grpc_health.h"
#include "controlplane/probe/http_answer.h"
#include "controlplane/probe/socket.h"

namespace sluice::probe {

using health::CheckSpec;
using health::ProbeId;
using health::ProbeResult;
using model::Cat;

// One probe. libcurl has pointers to it, so it stays where it is.
struct HttpTransfer {
  HttpTransfer(HttpProber& owner, ProbeId probe, const CheckSpec& check) : prober(owner), id(probe), spec(check) {}
  ~HttpTransfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // What the probe is doing, for the reason when it does not end.
  std::string Doing() const {
    curl_off_t connect_us = 0;
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    // With TLS libcurl counts a connection once its handshake is over.
    if (connect_us == 0) {
      return Cat(spec.config.uses_tls() ? "connect and TLS handshake with " : "connect to ", TargetText(spec.target));
    }
    return Cat("answer of ", TargetText(spec.target));
  }

  HttpProber& prober;
  const ProbeId id;
  const CheckSpec& spec;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::string body;  // of the request
  std::vector<Socket> sockets;
  absl::Status not_made;
  HttpAnswer answer;
  std::array<char, CURL_ERROR_SIZE> error{};
};

// What libcurl calls; the pointers are those that it was given.
struct HttpCallbacks {
  static int Socket(CURL*, curl_socket_t fd, int what, void* prober, void*) {
    static_cast<HttpProber*>(prober)->OnSocket(fd, what);
    return 0;
  }
  static int Timer(CURLM*, long timeout_ms, void* prober) {
    static_cast<HttpProber*>(prober)->OnTimer(timeout_ms);
    return 0;
  }
  static curl_socket_t OpenSocket(void* pointer, curlsocktype, curl_sockaddr*) {
    auto* transfer = static_cast<HttpTransfer*>(pointer);
    absl::StatusOr<probe::Socket> socket =
        probe::Socket::Open(SOCK_STREAM, transfer->spec.target, transfer->prober.ways_);
    if (!socket.ok()) {
      transfer->not_made = socket.status();
      return CURL_SOCKET_BAD;
    }
    transfer->sockets.push_back(*std::move(socket));
    return transfer->sockets.back().fd();
  }
  static int CloseSocket(void* pointer, curl_socket_t fd) {
    auto* transfer = static_cast<HttpTransfer*>(pointer);
    transfer->prober.loop_.Forget(fd);
    std::erase_if(transfer->sockets, [fd](const probe::Socket& socket) { return socket.fd() == fd; });
    return 0;
  }
  static size_t Header(char* data, size_t size, size_t count, void* pointer) {
    ReadHeaderLine({data, size * count}, &static_cast<HttpTransfer*>(pointer)->answer);
    return size * count;
  }
  // What goes beyond what is looked at ends the transfer.
  static size_t Body(char* data, size_t size, size_t count, void* pointer) {
    std::string& body = static_cast<HttpTransfer*>(pointer)->answer.body;
    const size_t taken = std::min(size * count, kBodyBytes - body.size());
    body.append(data, taken);
    return taken;
  }
};

namespace {

std::string UrlOf(const CheckSpec& spec) {
  const config::HealthCheckConfig& config = spec.config;
  const std::string_view scheme = config.uses_tls() ? "https://" : "http://";
  const std::string authority = config.server_name.empty() ? health::EndText(spec.target.address, spec.target.port)
                                                           : Cat(config.server_name, ":", spec.target.port);
  return Cat(scheme, authority, config.type == config::CheckType::kGrpc ? kGrpcHealthPath : config.path);
}

long HttpVersionOf(const config::HealthCheckConfig& config) {
  if (!config.http2 && config.type != config::CheckType::kGrpc) return CURL_HTTP_VERSION_1_1;
  return config.uses_tls() ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
}

void SetRequest(HttpTransfer& transfer) {
  CURL* easy = transfer.easy;
  const config::HealthCheckConfig& config = transfer.spec.config;
  curl_easy_setopt(easy, CURLOPT_URL, UrlOf(transfer.spec).c_str());
  const std::string connect_to = Cat("::", health::EndText(transfer.spec.target.address, transfer.spec.target.port));
  transfer.connect_to = curl_slist_append(nullptr, connect_to.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer.connect_to);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, HttpVersionOf(config));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice-health-check");
  std::vector<std::string> headers = config.headers;
  if (!config.host.empty()) headers.push_back(Cat("Host: ", config.host));
  if (config.type == config::CheckType::kGrpc) {
    transfer.body = GrpcHealthRequest(config.service);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.body.data());
    headers.insert(headers.end(), {"Content-Type: application/grpc", "TE: trailers"});
  } else if (config.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (config.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, config.method.c_str());
  }
  for (const std::string& header : headers) {
    transfer.headers = curl_slist_append(transfer.headers, header.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  if (config.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  } else {
    curl_easy_setopt(easy, CURLOPT_CAINFO, config.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config.server_name.empty() ? 0L : 2L);
  }
}

void SetConnection(HttpTransfer& transfer) {
  CURL* easy = transfer.easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 0L);
  // Addresses need no resolver, and libcurl walks all that it remembers after each transfer: with 10 000 backends that
  // takes most of the time.
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, HttpCallbacks::OpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, HttpCallbacks::CloseSocket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, HttpCallbacks::Header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, HttpCallbacks::Body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
}

ProbeResult ResultOf(HttpTransfer& transfer, CURLcode code) {
  if (!transfer.not_made.ok()) return {Kind::kNotMade, std::string(transfer.not_made.message())};
  // The body was longer than what is looked at.
  const bool cut = code == CURLE_WRITE_ERROR && transfer.answer.body.size() == kBodyBytes;
  if (code == CURLE_OK || cut) {
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
    long version = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_HTTP_VERSION, &version);
    transfer.answer.is_http2 = version == CURL_HTTP_VERSION_2_0;
    return JudgeAnswer(transfer.spec.config, transfer.answer);
  }
  if (code == CURLE_COULDNT_CONNECT) {
    long error = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_OS_ERRNO, &error);
    if (error != 0) return ConnectFailure(transfer.spec.target, static_cast<int>(error));
  }
  if (code == CURLE_SSL_CACERT_BADFILE) {
    return {Kind::kNotMade, Cat("ca_file ", transfer.spec.config.ca_file, " cannot be read")};
  }
  const bool tls = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
  const char* said = transfer.error.front() != '\0' ? transfer.error.data() : curl_easy_strerror(code);
  return {Kind::kFailed,
          Cat(tls ? Cat("TLS handshake with ", TargetText(transfer.spec.target)) : transfer.Doing(), ": ", said)};
}

}  // namespace

HttpProber::HttpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink) : loop_(loop), ways_(ways), sink_(sink) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = curl_multi_init();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, HttpCallbacks::Socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, HttpCallbacks::Timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

HttpProber::~HttpProber() {
  for (auto& [id, transfer] : transfers_) curl_multi_remove_handle(multi_, transfer->easy);
  transfers_.clear();
  curl_multi_cleanup(multi_);
}

void HttpProber::Start(ProbeId id, const CheckSpec& spec) {
  auto transfer = std::make_unique<HttpTransfer>(*this, id, spec);
  transfer->easy = curl_easy_init();
  SetConnection(*transfer);
  SetRequest(*transfer);
  HttpTransfer& started = *transfer;
  transfers_[id] = std::move(transfer);
  curl_multi_add_handle(multi_, started.easy);
}

std::string HttpProber::Cancel(ProbeId id) {
  const std::unique_ptr<HttpTransfer> transfer = Take(id);
  return transfer == nullptr ? "" : transfer->Doing();
}

std::unique_ptr<HttpTransfer> HttpProber::Take(ProbeId id) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return nullptr;
  std::unique_ptr<HttpTransfer> transfer = std::move(found->second);
  transfers_.erase(found);
  curl_multi_remove_handle(multi_, transfer->easy);
  return transfer;
}

void HttpProber::Advance(health::Time now) {
  if (!timer_ || *timer_ > now) return;
  timer_.reset();
  Act(CURL_SOCKET_TIMEOUT, 0);
}

void HttpProber::OnTimer(long timeout_ms) {
  timer_.reset();
  if (timeout_ms >= 0) timer_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
}

void HttpProber::OnSocket(int fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    loop_.Forget(fd);
    return;
  }
  const uint32_t events =
      ((what & CURL_POLL_IN) != 0 ? uint32_t{EPOLLIN} : 0) | ((what & CURL_POLL_OUT) != 0 ? uint32_t{EPOLLOUT} : 0);
  loop_.Watch(fd, events, [this, fd](uint32_t ready) {
    int events_of_curl = 0;
    if ((ready & EPOLLIN) != 0) events_of_curl |= CURL_CSELECT_IN;
    if ((ready & EPOLLOUT) != 0) events_of_curl |= CURL_CSELECT_OUT;
    if ((ready & (EPOLLERR | EPOLLHUP)) != 0) events_of_curl |= CURL_CSELECT_ERR;
    Act(fd, events_of_curl);
  });
}

void HttpProber::Act(int fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  Collect();
}

void HttpProber::Collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    char* pointer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
    const ProbeId id = reinterpret_cast<HttpTransfer*>(pointer)->id;
    const std::unique_ptr<HttpTransfer> transfer = Take(id);
    sink_.Done(id, ResultOf(*transfer, code));
  }
}

}  // namespace sluice::probe
