import { Page, Parted, useWho } from '~/parts'
import { Keys } from './keys'
import { Secrets } from './secrets'
import { Webhooks } from './webhooks'

/** What opens the account to programs, what jobs get to know in secret, and who is told when jobs end. */
export default function KeysPage() {
  const { scopes } = useWho()
  const has = (...any: string[]) => any.some((one) => scopes.includes(one))
  const tabs = [
    ...(has('read', 'admin') ? [{ name: 'keys', title: 'API keys', content: <Keys /> }] : []),
    ...(has('read', 'code') ? [{ name: 'secrets', title: 'Secrets', content: <Secrets /> }] : []),
    ...(has('read', 'jobs') ? [{ name: 'webhooks', title: 'Webhooks', content: <Webhooks /> }] : []),
  ]
  return (
    <Page title="API keys">
      <Parted label="Keys, secrets and webhooks" tabs={tabs} />
    </Page>
  )
}
