import type { StandIn } from "./StandIn.ts"
import { githubIssues, githubPullRequests } from "./github.ts"
import { stripe } from "./stripe.ts"
import { salesforce, salesforceBulk } from "./salesforce.ts"
import { hubspot } from "./hubspot.ts"
import { googleCalendar } from "./google.ts"
import { microsoftGraph } from "./microsoft.ts"
import { shopify } from "./shopify.ts"
import { jira } from "./jira.ts"
import { zendesk } from "./zendesk.ts"
import { slack } from "./slack.ts"
import { notion } from "./notion.ts"
import { airtable } from "./airtable.ts"
import { intercom } from "./intercom.ts"
import { gitlab } from "./gitlab.ts"
import { quickbooks } from "./quickbooks.ts"
import { xero } from "./xero.ts"
import { mailchimp } from "./mailchimp.ts"
import { mailgun } from "./mailgun.ts"
import { asana } from "./asana.ts"
import { trello } from "./trello.ts"
import { square } from "./square.ts"
import { paypal } from "./paypal.ts"
import { zoom } from "./zoom.ts"
import { twilio } from "./twilio.ts"
import { klaviyo } from "./klaviyo.ts"
import { okta } from "./okta.ts"
import { mixpanel } from "./mixpanel.ts"
import { usgs } from "./usgs.ts"
import { arxiv } from "./arxiv.ts"

/** The stand-ins, one per connector of the examples. */
export const standIns: ReadonlyArray<StandIn> = [
  airtable,
  arxiv,
  asana,
  githubIssues,
  githubPullRequests,
  gitlab,
  googleCalendar,
  hubspot,
  intercom,
  jira,
  klaviyo,
  mailchimp,
  mailgun,
  microsoftGraph,
  mixpanel,
  notion,
  okta,
  paypal,
  quickbooks,
  salesforce,
  salesforceBulk,
  shopify,
  slack,
  square,
  stripe,
  trello,
  twilio,
  usgs,
  xero,
  zendesk,
  zoom
]
