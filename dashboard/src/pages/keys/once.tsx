import { Alert, Button, Group, Modal, Stack } from '@mantine/core'
import type { Shape } from '~/api/types'
import { Snippet } from '~/parts'

type Secret = Shape<'KeySecret'>

/** The secret of a key, this once, with what to type where it is to be used. */
export function Once({ made, title, onClose }: { made: Secret; title: string; onClose: () => void }) {
  const python = `import cloud\n\ncloud.setkey(${made.api_key}, "${made.api_secretkey}", "${location.origin}")`
  return (
    <Modal opened onClose={onClose} title={<strong>{title}</strong>} size="lg" closeOnClickOutside={false}>
      <Stack gap="md">
        <Alert color="yellow" variant="light">
          The secret is shown only now. Copy it, or one of the snippets, before you close this.
        </Alert>
        <Snippet title="The secret" code={made.api_secretkey} />
        <Snippet title="In a shell of the machine that uses it" code={`picloud setup ${location.origin} -a ${made.api_key} -k ${made.api_secretkey}`} />
        <Snippet title="In a program" code={python} />
        <Group justify="flex-end">
          <Button onClick={onClose}>I have it</Button>
        </Group>
      </Stack>
    </Modal>
  )
}
