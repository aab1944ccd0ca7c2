export { type Allowance, Budgets, type Rate } from "@tributary/vault"
