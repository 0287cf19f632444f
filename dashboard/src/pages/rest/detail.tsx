import { Button, Group, Stack, Tabs } from '@mantine/core'
import { useState } from 'react'
import { Snippet, useWho } from '~/parts'
import { url } from '.'
import { Keys } from './keys'
import { collect, curl, EMPTY, type Endpoint } from './signature'
import { TryIt } from './tryit'
import classes from './rest.module.css'

/** One published function: tried, called from elsewhere, its keys. */
export function Detail({ endpoint, remove }: { endpoint: Endpoint; remove: () => void }) {
  const may = useWho().scopes
  const [filled, fill] = useState(EMPTY)
  const address = url(endpoint)
  const { ready } = collect(endpoint, filled)
  return (
    <Stack gap="md">
      <div>
        <div className="pc-mono">
          {endpoint.func_name}
          {endpoint.signature}
        </div>
        {endpoint.description && <p className={classes.about}>{endpoint.description}</p>}
      </div>
      <Snippet title="Address" code={address} />
      <Tabs defaultValue="try" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="try">Try it</Tabs.Tab>
          <Tabs.Tab value="call">Call it from elsewhere</Tabs.Tab>
          <Tabs.Tab value="keys">Keys</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="try" pt="md">
          <TryIt endpoint={endpoint} filled={filled} fill={fill} />
        </Tabs.Panel>
        <Tabs.Panel value="call" pt="md">
          <Stack gap="sm">
            <Snippet title={ready ? 'With the arguments that you have filled in; a key of this address, or of your account' : 'From a shell; the arguments are filled in as you try it'} code={curl(address, ready ?? example(endpoint))} />
            <Snippet title="From Python" code={python(endpoint)} />
            <p className={classes.about}>
              What it takes, for machines: GET <span className="pc-mono">{endpoint.path}/openapi.json</span>. A list for each argument, posted to <span className="pc-mono">{endpoint.path}/map</span>, makes a job of each position.
            </p>
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="keys" pt="md">
          <Keys label={endpoint.label} address={address} />
        </Tabs.Panel>
      </Tabs>
      {may.includes('jobs') && (
        <Group justify="flex-end">
          <Button variant="default" onClick={remove}>
            Remove the address
          </Button>
        </Group>
      )}
    </Stack>
  )
}

const EXAMPLES: Record<string, string> = { integer: '1', number: '1.5', string: '"text"', boolean: 'true', array: '[]', object: '{}' }

/** Arguments that fit, where none are filled in. */
const example = (endpoint: Endpoint) => ({
  values: endpoint.parameters.filter((one) => one.required && one.kind !== 'file').map((one): [string, string] => [one.name, EXAMPLES[one.kind] ?? '1']),
  files: endpoint.parameters.filter((one) => one.required && one.kind === 'file').map((one): [string, File] => [one.name, new File([], one.name)]),
})

const python = (endpoint: Endpoint) => {
  const given = endpoint.parameters.filter((one) => one.required).map((one) => `, ${one.name}=..`)
  return `import cloud

jid = cloud.rest.invoke(${JSON.stringify(endpoint.label)}${given.join('')})
print(cloud.result(jid))`
}
