"""Authenticators in Python, as connectors have them in their own code: what this project does with settings is compared with them.

Each does what the class of that name is known for, in as few lines as that takes.
"""

import base64
import time
import uuid
from dataclasses import InitVar, dataclass
from typing import Any, Mapping, Union

import jwt
import requests
from airbyte_cdk.sources.declarative.auth import DeclarativeOauth2Authenticator
from airbyte_cdk.sources.declarative.auth.oauth import DeclarativeSingleUseRefreshTokenOauth2Authenticator
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator, NoAuth
from airbyte_cdk.sources.declarative.auth.token import ApiKeyAuthenticator, BasicHttpAuthenticator, BearerAuthenticator
from airbyte_cdk.sources.declarative.interpolation import InterpolatedString, macros
from airbyte_cdk.sources.declarative.types import Config

Text = Union[InterpolatedString, str]


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class PayPalOauth2Authenticator(DeclarativeOauth2Authenticator):
    def get_refresh_request_headers(self):
        return {"Authorization": basic(self.get_client_id(), self.get_client_secret())}


@dataclass
class CommerceToolsOauth2Authenticator(DeclarativeOauth2Authenticator):
    def _make_handled_request(self):
        config = self.config
        url = f"https://auth.{config['region']}.{config['host']}.commercetools.com/oauth/token"
        scope = f"manage_project:{config['project_key']}"
        answer = requests.post(
            f"{url}?grant_type=client_credentials&scope={scope}", auth=(config["client_id"], config["client_secret"])
        )
        answer.raise_for_status()
        return answer.json()


@dataclass
class ServerToServerOauthAuthenticator(NoAuth):
    config: Config
    account_id: Text
    client_id: Text
    client_secret: Text
    authorization_endpoint: Text
    held = None

    def __post_init__(self, parameters: Mapping[str, Any]):
        read = lambda text: InterpolatedString.create(text, parameters=parameters).eval(self.config)
        self.account = read(self.account_id)
        self.client = (read(self.client_id), read(self.client_secret))
        self.url = read(self.authorization_endpoint)

    def __call__(self, request):
        if self.held is None:
            headers = {"Authorization": basic(*self.client), "Content-type": "application/json"}
            url = f"{self.url}?grant_type=account_credentials&account_id={self.account}"
            self.held = requests.post(url, headers=headers).json()["access_token"]
        request.headers.update({"Authorization": f"Bearer {self.held}", "Content-type": "application/json"})
        return request


@dataclass
class ShortLivedTokenAuthenticator(DeclarativeAuthenticator):
    client_id: Text
    secret_key: Text
    url: Text
    config: Config
    parameters: InitVar[Mapping[str, Any]]
    token_key: Text = "access_token"
    lifetime: Text = "PT3600S"

    def __post_init__(self, parameters: Mapping[str, Any]):
        read = lambda text: InterpolatedString.create(text, parameters=parameters).eval(self.config)
        self.client, self.address, self.key = (read(self.client_id), read(self.secret_key)), read(self.url), read(self.token_key)
        self.held = None

    @property
    def auth_header(self):
        return "Authorization"

    @property
    def token(self):
        if self.held is None:
            self.held = requests.get(self.address, headers={"Authorization": basic(*self.client)}).json()[self.key]
        return f"Bearer {self.held}"


@dataclass
class CustomAuthenticator(BasicHttpAuthenticator):
    @property
    def token(self):
        return basic(self._username.eval(self.config), self._password.eval(self.config))


@dataclass
class LookerAuthenticator(NoAuth):
    config: Mapping[str, Any]

    def __post_init__(self, config):
        self.held = None

    def get_auth_header(self):
        if self.held is None:
            given = {name: self.config[name] for name in ("client_id", "client_secret")}
            self.held = requests.post(f"https://{self.config['domain']}/api/4.0/login", data=given).json()["access_token"]
        return {"Authorization": f"token {self.held}"}


@dataclass
class TypeformAuthenticator(DeclarativeAuthenticator):
    config: Mapping[str, Any]
    token_auth: BearerAuthenticator
    oauth2: DeclarativeOauth2Authenticator

    def __new__(cls, token_auth, oauth2, config, *args, **kwargs):
        return token_auth if config["credentials"]["auth_type"] == "access_token" else oauth2


@dataclass
class AuthenticatorRetently(DeclarativeAuthenticator):
    config: Mapping[str, Any]
    api_auth: ApiKeyAuthenticator
    oauth: DeclarativeOauth2Authenticator

    def __new__(cls, api_auth, oauth, config, *args, **kwargs):
        return api_auth if config["credentials"].get("api_key") else oauth


@dataclass
class CustomBearerAuthenticator(DeclarativeAuthenticator):
    config: Config
    parameters: InitVar[Mapping[str, Any]]

    @property
    def auth_header(self):
        return "Authorization"

    @property
    def token(self):
        return f"SSWS {self.config['credentials']['api_token']}"


@dataclass
class CustomOauth2PrivateKeyAuthenticator(DeclarativeAuthenticator):
    config: Config

    @property
    def auth_header(self):
        return "Authorization"

    @property
    def token(self):
        credentials = self.config["credentials"]
        url = f"https://{self.config['sub_domain']}.{self.config['domain']}/oauth2/v1/token"
        now = int(time.time())
        claims = {"iss": credentials["client_id"], "sub": credentials["client_id"], "aud": url, "iat": now, "exp": now + 3600, "jti": str(uuid.uuid4())}
        headers = {"kid": credentials["key_id"], "alg": "RS256"}
        body = {
            "grant_type": "client_credentials",
            "client_id": credentials["client_id"],
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, credentials["private_key"], algorithm="RS256", headers=headers),
            "scope": credentials["scope"],
        }
        return f"Bearer {requests.post(url, data=body).json()['access_token']}"


@dataclass
class CustomOauth2Authenticator(DeclarativeOauth2Authenticator):
    def get_refresh_request_headers(self):
        return {"Authorization": basic(self.get_client_id(), self.get_client_secret())}

    def get_auth_header(self):
        return {"Authorization": f"SSWS {self.get_access_token()}"}


@dataclass
class AmazonSPOauthAuthenticator(DeclarativeOauth2Authenticator):
    host: Text = None

    def get_auth_header(self):
        now = macros.now_utc().strftime("%Y%m%dT%H%M%SZ")
        return {"user-agent": "python-requests", "x-amz-access-token": self.get_access_token(), "x-amz-date": now}

    def get_refresh_request_headers(self):
        return {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class CustomYouniumAuthenticator(NoAuth):
    config: Config
    username: Text
    password: Text
    legal_entity: Text
    grant_type: Text
    client_id: Text
    scope: Text
    held = None

    def __post_init__(self, parameters: Mapping[str, Any]):
        names = ("username", "password", "legal_entity", "grant_type", "client_id", "scope")
        read = lambda text: InterpolatedString.create(text, parameters=parameters).eval(self.config)
        self.form = {name: read(getattr(self, name)) for name in names}

    def __call__(self, request):
        if self.held is None:
            kind = "-sandbox" if self.config.get("playground") else ""
            url = f"https://younium-identity-server{kind}.azurewebsites.net/connect/token"
            self.held = requests.post(url, data=self.form).json()["access_token"]
        request.headers.update({"Authorization": f"Bearer {self.held}"})
        return request


@dataclass
class AuthenticatorZendeskSunshine(DeclarativeAuthenticator):
    config: Mapping[str, Any]
    basic_auth: BasicHttpAuthenticator
    oauth2: BearerAuthenticator

    def __new__(cls, basic_auth, oauth2, config, *args, **kwargs):
        credentials = config.get("credentials", {})
        kind = credentials.get("auth_type") or credentials.get("auth_method", "")
        return {"api_token": basic_auth, "oauth2_refresh": kwargs.get("oauth2_refresh")}.get(kind, oauth2)


@dataclass
class ZendeskTalkAuthenticator(DeclarativeAuthenticator):
    config: Mapping[str, Any]
    legacy_basic_auth: BasicHttpAuthenticator
    basic_auth: BasicHttpAuthenticator
    oauth: BearerAuthenticator

    def __new__(cls, legacy_basic_auth, basic_auth, oauth, config, *args, **kwargs):
        if config.get("access_token") and config.get("email"):
            return legacy_basic_auth
        return {"api_token": basic_auth, "oauth2.0": oauth}[config["credentials"]["auth_type"]]


@dataclass
class SingleUseOauth2Authenticator(DeclarativeAuthenticator):
    config: Mapping[str, Any]

    def __new__(cls, config, *args, **kwargs):
        endpoint = kwargs.get("token_refresh_endpoint") or "https://accounts.salesloft.com/oauth/token"
        return DeclarativeSingleUseRefreshTokenOauth2Authenticator(config, token_refresh_endpoint=endpoint)
