#include "tools/sluicectl/tls_diagnosis.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "config/text.h"

namespace sluice::ctl {
namespace {

using config::Cat;

constexpr timeval kPatience = {.tv_sec = 3, .tv_usec = 0};

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string TimeText(const ASN1_TIME* time) {
  std::tm fields{};
  std::array<char, 32> text{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &fields) != 1) return "an unknown time";
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &fields);
  return text.data();
}

std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "unknown error" : reason;
}

// What is wrong with the client's own files.
TlsDiagnosis LoadFiles(const TlsFiles& files, SSL_CTX* context) {
  if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1) {
    return {Cat("--tls-ca: ", files.ca, " has no certificate in PEM"), "name the CA that signs sluiced's certificate"};
  }
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return {Cat("--tls-cert: ", files.certificate, " has no certificate in PEM"), "name that of this client"};
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    // It is compared with the certificate at once.
    const bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    return {other ? Cat("--tls-key: the key in ", files.key, " is not that of the certificate in ", files.certificate)
                  : Cat("--tls-key: ", files.key, " has no private key in PEM"),
            "name the two that belong together"};
  }
  const X509* own = SSL_CTX_get0_certificate(context);
  if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) {
    return {Cat("the client's certificate in ", files.certificate, " expired on ", TimeText(X509_get0_notAfter(own))),
            "have a new one signed"};
  }
  if (X509_cmp_current_time(X509_get0_notBefore(own)) > 0) {
    return {Cat("the client's certificate in ", files.certificate, " is valid only from ",
                TimeText(X509_get0_notBefore(own)), " on"),
            "is this machine's clock right?"};
  }
  return {};
}

// -1: with errno, or with `resolve_error`.
int Connect(const std::string& host, const std::string& port, int* resolve_error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  *resolve_error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (*resolve_error != 0) return -1;
  int fd = -1;
  for (const addrinfo* one = list; one != nullptr && fd < 0; one = one->ai_next) {
    fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    if (connect(fd, one->ai_addr, one->ai_addrlen) == 0) break;
    const int error = errno;
    close(fd);
    fd = -1;
    errno = error;
  }
  freeaddrinfo(list);
  return fd;
}

// What the verification found, kept beside the connection because a handshake that fails keeps no certificate.
struct Verified {
  int error = X509_V_OK;
  std::string expiry;
};

int Verify(int ok, X509_STORE_CTX* store) {
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* verified = static_cast<Verified*>(SSL_get_ex_data(ssl, 0));
  if (ok != 1 && verified->error == X509_V_OK) {
    verified->error = X509_STORE_CTX_get_error(store);
    const X509* certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate != nullptr) verified->expiry = TimeText(X509_get0_notAfter(certificate));
  }
  return ok;
}

TlsDiagnosis OfVerification(const Verified& verified, const std::string& name, const TlsFiles& files) {
  switch (verified.error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {Cat("sluiced's certificate, or its CA's, expired on ", verified.expiry),
              "put a new one where node.api.tcp.certificate says; sluiced takes it up by itself"};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {Cat("sluiced's certificate is not for \"", name, "\""), "name one that it has with --tls-server-name"};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return {Cat("sluiced's certificate is not signed by the CA in ", files.ca), "name its CA with --tls-ca"};
    default:
      return {Cat("sluiced's certificate is not accepted: ", X509_verify_cert_error_string(verified.error)),
              "look at node.api.tcp.certificate"};
  }
}

// `host` stands for the name that the certificate must have where none is given.
TlsDiagnosis Handshake(SSL* ssl, const std::string& host, const TlsFiles& files) {
  const std::string& name = files.server_name.empty() ? host : files.server_name;
  Verified verified;
  SSL_set_ex_data(ssl, 0, &verified);
  SSL_set_verify(ssl, SSL_VERIFY_PEER, Verify);
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) != 1) {
    SSL_set1_host(ssl, name.c_str());
    SSL_set_tlsext_host_name(ssl, name.c_str());
  }
  constexpr std::array<uint8_t, 3> kHttp2 = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kHttp2.data(), kHttp2.size());
  ERR_clear_error();
  if (SSL_connect(ssl) != 1) {
    if (verified.error != X509_V_OK) return OfVerification(verified, name, files);
    if (ERR_peek_last_error() == 0) return {"it does not speak TLS there", "is that node.api.tcp.listen?"};
    return {Cat("the TLS handshake failed: ", LastError()), "is that node.api.tcp.listen?"};
  }
  // With TLS 1.3 the server's word about the client's certificate comes after the handshake.
  char byte = 0;
  ERR_clear_error();
  if (SSL_read(ssl, &byte, 1) == 1 || ERR_peek_last_error() == 0) return {};
  return {Cat("sluiced does not accept the client's certificate in ", files.certificate, ": ", LastError()),
          "it must be signed by the CA in node.api.tcp.client_ca and be valid by sluiced's clock"};
}

}  // namespace

TlsDiagnosis DiagnoseTls(const std::string& server, const TlsFiles& files) {
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos) return {};
  std::string host = server.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::unique_ptr<SSL_CTX, ContextDeleter> context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return {};
  if (TlsDiagnosis own = LoadFiles(files, context.get()); !own.reason.empty()) return own;
  int resolve_error = 0;
  const int fd = Connect(host, server.substr(colon + 1), &resolve_error);
  if (resolve_error != 0) return {gai_strerror(resolve_error), "is the name right?"};
  if (fd < 0) return {std::strerror(errno), "is sluiced running, and does it listen there (node.api.tcp.listen)?"};
  const std::unique_ptr<SSL, SslDeleter> ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), fd);
  const TlsDiagnosis found = Handshake(ssl.get(), host, files);
  close(fd);
  return found;
}

}  // namespace sluice::ctl
