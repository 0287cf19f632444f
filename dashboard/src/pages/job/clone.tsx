import { Button, Group, Modal, NumberInput, Select, Stack, Textarea, TextInput } from '@mantine/core'
import { useForm } from '@mantine/form'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useGet } from '~/api/get'
import { to } from '~/layout/routes'
import { ErrorBox, format, useWho } from '~/parts'
import classes from './job.module.css'
import type { Job } from './shape'

interface Props {
  job: Job
  opened: boolean
  onClose: () => void
}

/** The same function and arguments as a new job, with other settings. */
export function Clone({ job, opened, onClose }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>Clone job {job.jid}</strong>} size="lg">
      {opened && <Form job={job} onClose={onClose} />}
    </Modal>
  )
}

const MINUTE = 60

function Form({ job, onClose }: Omit<Props, 'opened'>) {
  const { server } = useWho()
  const [, go] = useLocation()
  const environments = useEnvironments(job.env)
  const form = useForm({
    initialValues: {
      type: job.core_type,
      cores: String(job.cores),
      env: job.env ?? '',
      label: job.label,
      priority: job.priority as number | string,
      minutes: (job.attributes.max_runtime_ms ?? 0) / MINUTE / 1000 as number | string,
      variables: '',
    },
    validate: {
      variables: (text) => variables(text).wrong && `"${variables(text).wrong}" is not of the form NAME=value`,
      priority: (value) => (value === '' ? 'A number; lower runs earlier' : null),
    },
  })
  const kind = server.core_types[form.values.type]
  const [key] = useState(() => `page ${Math.random()}`)
  const make = useAction(
    (given: typeof form.values) =>
      post('/v1/job/clone', {
        jid: job.jid,
        label: given.label === job.label ? null : given.label,
        type: given.type === job.core_type ? null : given.type,
        cores: Number(given.cores) === job.cores ? null : Number(given.cores),
        env: given.env === job.env ? null : given.env,
        priority: Number(given.priority) === job.priority ? null : Number(given.priority),
        max_runtime: form.isDirty('minutes') ? Number(given.minutes || 0) * MINUTE : null,
        variables: variables(given.variables).found,
        key: `${key} ${JSON.stringify(given)}`.slice(0, 200),
      }),
    {
      quiet: true,
      said: ({ jid }) => `Cloned as job ${jid}`,
      then: ({ jid }) => {
        onClose()
        go(to.job(jid))
      },
    },
  )
  const cores = (kind?.multiples ?? [job.cores]).map(String)
  return (
    <form onSubmit={form.onSubmit((given) => void make.run(given))}>
      <Stack gap="sm">
        <div className={classes.form}>
          <Select
            label="Core type"
            data={Object.entries(server.core_types).map(([name, one]) => ({ value: name, label: `${name} · ${format.bytes(one.memory)} a core` }))}
            allowDeselect={false}
            {...form.getInputProps('type')}
            onChange={(name) => {
              if (!name) return
              form.setFieldValue('type', name)
              const fit = server.core_types[name]?.multiples ?? []
              if (!fit.includes(Number(form.values.cores))) form.setFieldValue('cores', String(fit[0] ?? 1))
            }}
          />
          <Select label="Cores" data={cores} allowDeselect={false} description={undefined} {...form.getInputProps('cores')} />
          <Select label="Environment" data={environments} searchable allowDeselect={false} {...form.getInputProps('env')} />
          <TextInput label="Label" maxLength={1000} autoComplete="off" {...form.getInputProps('label')} />
          <NumberInput label="Priority" description="Lower runs earlier" {...form.getInputProps('priority')} />
          <NumberInput label="Max. runtime, minutes" description="0 = no limit" min={0} {...form.getInputProps('minutes')} />
        </div>
        <Textarea
          label="Variables"
          description={`NAME=value, one a line; these change${job.attributes.env_names?.length ? `, the others stay: ${job.attributes.env_names.join(', ')}` : ''}`}
          autosize
          minRows={2}
          maxRows={8}
          classNames={{ input: 'pc-mono' }}
          spellCheck={false}
          {...form.getInputProps('variables')}
        />
        <ErrorBox error={make.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={make.busy}>
            Run the clone
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** Names of the environments that it may run in. */
function useEnvironments(own: string | null): string[] {
  const mine = useGet('/v1/environment').data?.environments ?? []
  const bases = useGet('/v1/environment/base').data?.bases ?? []
  const names = [own ?? '', ...mine.map((one) => one.name), ...bases.map((one) => one.name)]
  return [...new Set(names.filter(Boolean))]
}

/** What lines of NAME=value say; `wrong` is the first that says nothing. */
function variables(text: string): { found: Record<string, string>; wrong?: string } {
  const found: Record<string, string> = {}
  for (const line of text.split('\n')) {
    if (!line.trim()) continue
    const parts = /^\s*([A-Za-z_]\w*)=(.*)$/.exec(line)
    if (!parts?.[1]) return { found, wrong: line.slice(0, 60) }
    found[parts[1]] = parts[2] ?? ''
  }
  return { found }
}
